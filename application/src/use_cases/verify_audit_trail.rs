//! Whether the audit trail is what was written.

use std::sync::Arc;

use reprieve_domain::audit::Fault;

use crate::ports::AuditTrail;
use crate::{Coded, ErrorCode, StoreError};

/// How many chains are held in memory at once.
const PAGE: u32 = 500;

/// Walks the audit trail of every process.
pub struct VerifyAuditTrail {
    audit_trail: Arc<dyn AuditTrail>,
}

/// An audit trail that is what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifiedAuditTrail {
    /// How many processes it is about.
    pub processes: u64,
    /// How many entries it has.
    pub entries: u64,
}

/// Why the audit trail is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyAuditTrailError {
    /// It is not what was written.
    #[error("the audit trail is broken: {first}{}", others(*.broken))]
    Broken {
        /// The first fault, in the order of process ids.
        first: Fault,
        /// How many processes have a fault.
        broken: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn others(broken: u64) -> String {
    match broken {
        0 | 1 => String::new(),
        2 => ", and one more process has a fault".to_owned(),
        more => format!(", and {} more processes have a fault", more - 1),
    }
}

impl VerifyAuditTrail {
    /// With its port.
    #[must_use]
    pub fn new(audit_trail: Arc<dyn AuditTrail>) -> Self {
        Self { audit_trail }
    }

    /// Walks every chain.
    ///
    /// # Errors
    /// If an entry was changed, removed or inserted, or if the store fails.
    pub async fn execute(&self) -> Result<VerifiedAuditTrail, VerifyAuditTrailError> {
        let mut verified = VerifiedAuditTrail::default();
        let mut broken = 0;
        let mut first = None;
        let mut after = None;
        loop {
            let chains = self.audit_trail.chains(after, PAGE).await?;
            let Some(newest) = chains.last() else { break };
            after = Some(newest.process_id.clone());
            for chain in &chains {
                verified.processes += 1;
                verified.entries += chain.entries.len() as u64;
                if let Err(fault) = self.audit_trail.verify(chain) {
                    broken += 1;
                    first.get_or_insert(fault);
                }
            }
        }
        match first {
            None => Ok(verified),
            Some(first) => Err(VerifyAuditTrailError::Broken { first, broken }),
        }
    }
}

impl Coded for VerifyAuditTrailError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Broken { .. } => ErrorCode::AuditTrailBroken,
            Self::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::MockAuditTrail;
    use reprieve_domain::audit::{Chain, FaultKind};

    fn chain(process_id: &str) -> Chain {
        Chain { process_id: process_id.to_owned(), entries: Vec::new(), head: None, tasks: None }
    }

    fn trail(broken: &'static [&'static str]) -> MockAuditTrail {
        let mut trail = MockAuditTrail::new();
        trail.expect_chains().returning(|after, _| {
            Ok(match after.as_deref() {
                None => vec![chain(""), chain("b")],
                Some("b") => vec![chain("c")],
                _ => Vec::new(),
            })
        });
        trail.expect_verify().returning(|chain| {
            if broken.contains(&chain.process_id.as_str()) {
                Err(Fault { process_id: chain.process_id.clone(), sequence: 1, kind: FaultKind::Removed })
            } else {
                Ok(())
            }
        });
        trail
    }

    #[tokio::test]
    async fn every_page_is_walked() {
        let verified = VerifyAuditTrail::new(Arc::new(trail(&[]))).execute().await.unwrap();
        assert_eq!(verified.processes, 3);
    }

    #[tokio::test]
    async fn the_first_fault_is_named_and_the_others_are_counted() {
        let error = VerifyAuditTrail::new(Arc::new(trail(&["b", "c"]))).execute().await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::AuditTrailBroken);
        assert_eq!(
            error.to_string(),
            "the audit trail is broken: entry 1 of process b was removed, and one more process has a fault"
        );
    }
}
