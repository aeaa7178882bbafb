//! A copy of the database that has been verified before it gets its name.

use std::path::Path;
use std::sync::Arc;

use super::{VerifiedAuditTrail, VerifyAuditTrail, VerifyAuditTrailError};
use crate::ports::{BackupError, Backups};
use crate::{Coded, ErrorCode};

/// Copies the database into a file.
pub struct BackUpDatabase {
    backups: Arc<dyn Backups>,
}

/// A backup that is there for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its audit trail; none if the database has the tables of another version, or nothing was ever stored in it.
    pub verified: Option<VerifiedAuditTrail>,
}

/// Why there is no backup. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BackUpDatabaseError {
    /// It could not be made.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Its audit trail is not what was written.
    #[error(transparent)]
    AuditTrail(#[from] VerifyAuditTrailError),
}

impl Coded for BackUpDatabaseError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Backup(error) => error.code(),
            Self::AuditTrail(error) => error.code(),
        }
    }
}

impl BackUpDatabase {
    /// With its port.
    #[must_use]
    pub fn new(backups: Arc<dyn Backups>) -> Self {
        Self { backups }
    }

    /// Copies, verifies and then gives the copy its name.
    ///
    /// # Errors
    /// If the file is there already, cannot be written, or holds an audit trail that is broken.
    pub async fn execute(&self, file: &Path) -> Result<BackedUp, BackUpDatabaseError> {
        let copy = self.backups.copy(file).await?;
        let verified = match copy.audit_trail() {
            None => None,
            Some(audit_trail) => Some(VerifyAuditTrail::new(audit_trail).execute().await?),
        };
        Ok(BackedUp { bytes: copy.finish().await?, verified })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{ComparedEvents, MockAuditTrail, MockBackups, MockUnfinishedBackup};
    use reprieve_domain::audit::{Chain, Fault, FaultKind};

    fn of(trail: Option<MockAuditTrail>, finished: usize) -> BackUpDatabase {
        let mut copy = MockUnfinishedBackup::new();
        copy.expect_audit_trail().return_once(|| trail.map(|trail| Arc::new(trail) as _));
        copy.expect_finish().times(finished).returning(|| Ok(7));
        let mut backups = MockBackups::new();
        backups.expect_copy().return_once(|_| Ok(Box::new(copy)));
        BackUpDatabase::new(Arc::new(backups))
    }

    #[tokio::test]
    async fn a_copy_whose_audit_trail_is_broken_never_gets_its_name() {
        let mut trail = MockAuditTrail::new();
        trail.expect_chains().returning(|after, _| {
            let chain = Chain { process_id: "a".to_owned(), entries: Vec::new(), head: None, tasks: None };
            Ok(if after.is_none() { vec![chain] } else { Vec::new() })
        });
        trail.expect_verify().returning(|chain| {
            Err(Fault { process_id: chain.process_id.clone(), sequence: 1, kind: FaultKind::Removed })
        });
        trail.expect_compared_events().returning(|_, _| Ok(ComparedEvents::default()));
        trail.expect_contradictions().returning(|| Ok(Vec::new()));
        let error = of(Some(trail), 0).execute(Path::new("copy")).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::AuditTrailBroken);
    }

    #[tokio::test]
    async fn a_copy_without_an_audit_trail_is_not_called_verified() {
        let done = of(None, 1).execute(Path::new("copy")).await.unwrap();
        assert_eq!(done, BackedUp { bytes: 7, verified: None });
    }
}
