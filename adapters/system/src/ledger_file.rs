//! The port `ErasureLedger`: lines of JSON in a file.
//!
//! A line counts when its line feed is there and durable. A crash can leave the beginning of a line at the end of the
//! file; whoever reads passes over it, and whoever appends next cuts it off. Nothing was erased on its account, because
//! the appending that left it never came back.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use reprieve_application::ports::{ErasureLedger, LedgerContent, LedgerError};
use reprieve_domain::audit::{ErasureLedgerEntry, KeyedHash};
use reprieve_domain::{DeletionProcessId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::folder;

/// The erasure ledger in a file, which several processes may use at once. It belongs where no backup of the database
/// puts it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFile {
    path: PathBuf,
}

/// One line.
#[derive(Serialize, Deserialize)]
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
    /// The ledger at this path. It is made when something is appended.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether something could be appended, as far as that is known before, and makes nothing.
    ///
    /// # Errors
    /// If the file is there and cannot be opened, or there is something in the way of its folder.
    pub fn check(&self) -> Result<(), LedgerError> {
        let opened = OpenOptions::new().read(true).append(true).open(&self.path).map(drop);
        let found = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // What is not there yet is made with the first entry.
                let folder = folder::of(&self.path).ancestors().find(|folder| folder.exists());
                match folder.map(|folder| (folder, folder.metadata())) {
                    Some((_, Ok(found))) if found.is_dir() && !found.permissions().readonly() => Ok(()),
                    Some((_, Err(error))) => Err(error),
                    Some((folder, Ok(_))) => {
                        let problem = format!("{} is no folder that can be written to", folder.display());
                        Err(io::Error::new(io::ErrorKind::NotADirectory, problem))
                    }
                    // A path that is relative to where the program runs.
                    None => Ok(()),
                }
            }
            other => other,
        };
        found.map_err(|error| self.unavailable(error.into()))
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

    fn append_text(&self, text: &str) -> io::Result<()> {
        folder::make(folder::of(&self.path))?;
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        // Until the file is closed.
        file.lock()?;
        let found = file.metadata()?.len();
        if found == 0 {
            // It may have just been made, by us or by somebody who did not come to this line.
            folder::sync(folder::of(&self.path))?;
        }
        let (end, separator) = sound_end(&mut file, found)?;
        if end < found {
            file.set_len(end)?;
        }
        let written = file.write_all(format!("{separator}{text}").as_bytes()).and_then(|()| file.sync_data());
        if written.is_err() {
            // Whoever appended is told that it is not there. What stays if this fails as well does no harm.
            let _ = file.set_len(end);
        }
        written
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
    async fn append(&self, entries: &[ErasureLedgerEntry]) -> Result<(), LedgerError> {
        let mut text = String::new();
        for entry in entries {
            text +=
                &serde_json::to_string(&Line::from(entry)).map_err(|error| self.unavailable(error.into()))?;
            text.push('\n');
        }
        self.blocking(move |ledger| {
            ledger.append_text(&text).map_err(|error| ledger.unavailable(error.into()))
        })
        .await
    }

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

/// Where the content ends that is to be kept, and what has to come before a new line. What follows the last line feed
/// is kept only if it is an entry: then no crash but an editor took the line feed away.
fn sound_end(file: &mut File, length: u64) -> io::Result<(u64, &'static str)> {
    let Some(last) = length.checked_sub(1) else { return Ok((0, "")) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    if byte == *b"\n" {
        return Ok((length, ""));
    }
    // Reads everything, which is seldom needed.
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut content)?;
    let tail = content.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    if parse(tail).is_some() {
        return Ok((length, "\n"));
    }
    let torn = u64::try_from(tail.len()).map_err(io::Error::other)?;
    Ok((length.saturating_sub(torn), ""))
}

fn parse(line: &[u8]) -> Option<ErasureLedgerEntry> {
    // It would be content to have the members without their names.
    let is_object = line.trim_ascii_start().starts_with(b"{");
    serde_json::from_slice::<Line>(line).ok().filter(|_| is_object).map(Line::into)
}

impl From<&ErasureLedgerEntry> for Line {
    fn from(entry: &ErasureLedgerEntry) -> Self {
        Self {
            process_id: entry.process_id.clone(),
            identity_hash: entry.identity_hash,
            created_at: entry.created_at,
            grace_period_ends_at: entry.grace_period_ends_at,
            deletion_started_at: entry.deletion_started_at,
            seal: entry.seal,
        }
    }
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
