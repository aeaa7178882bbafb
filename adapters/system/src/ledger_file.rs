//! The port `ErasureLedger`: lines of JSON in a file, which older versions append to.
//!
//! A line counts when its line feed is there. A crash can leave the beginning of a line at the end of the file, which is
//! passed over: nothing was erased on its account, because the appending that left it never came back.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;

use async_trait::async_trait;
use reprieve_application::ports::{ErasureLedger, LedgerContent, LedgerError};
use reprieve_domain::audit::{ErasureLedgerEntry, KeyedHash};
use reprieve_domain::{DeletionProcessId, Timestamp};
use serde::Deserialize;

/// The erasure ledger in a file, which older versions may append to meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFile {
    path: PathBuf,
}

/// One line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    process_id: DeletionProcessId,
    identity_hash: KeyedHash,
    created_at: Timestamp,
    grace_period_ends_at: Timestamp,
    deletion_started_at: Timestamp,
    seal: KeyedHash,
}

impl LedgerFile {
    /// The ledger at this path, which is not made.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Runs what waits for the disk where nobody else has to wait for it.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let ledger = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&ledger)).await;
        done.map_err(|error| self.unavailable(error.into()))?
    }

    fn read(&self) -> Result<LedgerContent, LedgerError> {
        let file = File::open(&self.path).map_err(|error| self.unavailable(error.into()))?;
        // Or what somebody is writing just now would be read by half.
        file.lock_shared().map_err(|error| self.unavailable(error.into()))?;
        let mut file = BufReader::new(file);
        let (mut content, mut line) = (LedgerContent::default(), Vec::new());
        for number in 1.. {
            line.clear();
            if file.read_until(b'\n', &mut line).map_err(|error| self.unavailable(error.into()))? == 0 {
                break;
            }
            match parse(&line) {
                Some(entry) => content.entries.push((number, entry)),
                None if !line.ends_with(b"\n") => {}
                None => content.damaged.push(number),
            }
        }
        Ok(content)
    }

    fn unavailable(&self, source: Box<dyn std::error::Error + Send + Sync>) -> LedgerError {
        LedgerError { ledger: self.path.display().to_string(), source }
    }
}

#[async_trait]
impl ErasureLedger for LedgerFile {
    async fn length(&self) -> Result<Option<u64>, LedgerError> {
        match std::fs::metadata(&self.path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unavailable(error.into())),
        }
    }

    async fn content(&self) -> Result<LedgerContent, LedgerError> {
        self.blocking(Self::read).await
    }
}

fn parse(line: &[u8]) -> Option<ErasureLedgerEntry> {
    // It would be content to have the members without their names.
    let is_object = line.trim_ascii_start().starts_with(b"{");
    serde_json::from_slice::<Line>(line).ok().filter(|_| is_object).map(Line::into)
}

impl From<Line> for ErasureLedgerEntry {
    fn from(line: Line) -> Self {
        Self {
            process_id: line.process_id,
            identity_hash: line.identity_hash,
            created_at: line.created_at,
            grace_period_ends_at: line.grace_period_ends_at,
            deletion_started_at: line.deletion_started_at,
            seal: line.seal,
        }
    }
}

#[cfg(test)]
mod tests;
