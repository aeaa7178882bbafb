//! The port `Journal` of a deployment that has not named one.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use reprieve_domain::audit::{JournalEntry, KeyedHash, PauseChange, Remembered, RememberedHold};
use reprieve_domain::{DeletionProcessId, Timestamp};

use crate::ports::{Journal, JournalError, JournalFigures, JournalPage, RememberedHolds, RememberedPause};

/// Remembers nothing, and says so: nothing irreversible is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    fn place(&self) -> String {
        "none".to_owned()
    }

    async fn id(&self) -> Result<Option<String>, JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn begin(&self, _: &str) -> Result<String, JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn append(&self, _: &[JournalEntry]) -> Result<(), JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn remembered(
        &self,
        _: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Remembered>, JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn append_holds(&self, _: &[RememberedHold]) -> Result<(), JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn holds(&self, _: &[KeyedHash]) -> Result<HashMap<KeyedHash, RememberedHolds>, JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn append_pause(&self, _: &PauseChange) -> Result<(), JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn pause(&self) -> Result<RememberedPause, JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn page(&self, _: i64, _: u32) -> Result<JournalPage, JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn figures(&self) -> Result<JournalFigures, JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn newest(&self) -> Result<i64, JournalError> {
        Err(JournalError::NotNamed)
    }

    async fn forget_closed_before(&self, _: Timestamp, _: u32) -> Result<u64, JournalError> {
        Err(JournalError::NotNamed)
    }
}
