//! Whether the audit trail, and all that follows from it, is what was written, and all that the journal remembers.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use reprieve_domain::DeletionProcessId;
use reprieve_domain::audit::{Chain, Fault, FaultKind, Subject};

use crate::journal::{Compared, Journaling};
use crate::ports::{AuditTrail, ReceiptChecker};
use crate::{Coded, ErrorCode, Failure, Receipt, StoreError};

/// How many chains, or events, are held in memory at once.
const PAGE: u32 = 500;

/// How many processes with a fault are remembered, so that none is counted twice.
const REMEMBERED: usize = 10_000;

/// Walks the audit trail of every process, and compares what follows from it: processes, tasks, receipts, events.
pub struct VerifyAuditTrail {
    audit_trail: Arc<dyn AuditTrail>,
    receipts: Option<Arc<dyn ReceiptChecker>>,
    journaling: Option<Journaling>,
}

/// An audit trail that is what was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifiedAuditTrail {
    /// How many processes it is about.
    pub processes: u64,
    /// How many entries it has.
    pub entries: u64,
    /// How many processes the journal has, each of which it was compared with; or why it was not. Nothing if it was not to
    /// be compared.
    pub journal: Option<Result<u64, Failure>>,
}

/// Why the audit trail is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyAuditTrailError {
    /// It is not what was written.
    #[error("the audit trail is broken: {first}{}", others(*.broken))]
    Broken {
        /// The first fault, in the order of process ids; one of an event if no process has any.
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

/// The faults that were found: the first one, and how many processes have any.
#[derive(Default)]
struct Faults {
    first: Option<Fault>,
    processes: BTreeSet<String>,
    /// How many more there are than are remembered.
    more: u64,
}

impl Faults {
    fn add(&mut self, fault: Fault) {
        if self.processes.contains(&fault.process_id) {
            return;
        }
        if self.processes.len() < REMEMBERED {
            self.processes.insert(fault.process_id.clone());
        } else {
            self.more += 1;
        }
        self.first.get_or_insert(fault);
    }
}

impl VerifyAuditTrail {
    /// With its port. Receipts are not looked at.
    #[must_use]
    pub fn new(audit_trail: Arc<dyn AuditTrail>) -> Self {
        Self { audit_trail, receipts: None, journaling: None }
    }

    /// The same, and every receipt that is kept is checked as well.
    #[must_use]
    pub fn with_receipts(self, receipts: Arc<dyn ReceiptChecker>) -> Self {
        Self { receipts: Some(receipts), ..self }
    }

    /// The same, and what the journal has is compared with it, if the journal can be used.
    #[must_use]
    pub fn with_journal(self, journaling: Journaling) -> Self {
        Self { journaling: Some(journaling), ..self }
    }

    /// Walks every chain, and compares what follows from them. Each page is seen as it was at one moment, so steps may be
    /// taken meanwhile.
    ///
    /// # Errors
    /// If an entry was changed, removed or inserted, if what is stored is not what the entries say, if the journal has what is
    /// not stored, or if the store fails. A journal that cannot be used is part of the answer.
    pub async fn execute(&self) -> Result<VerifiedAuditTrail, VerifyAuditTrailError> {
        let mut verified = VerifiedAuditTrail::default();
        let mut faults = Faults::default();
        let mut after = None;
        loop {
            let chains = self.audit_trail.chains(after, PAGE).await?;
            let Some(newest) = chains.last() else { break };
            after = Some(newest.process_id.clone());
            for chain in &chains {
                verified.processes += 1;
                verified.entries += chain.entries.len() as u64;
                if let Err(fault) = self.verify(chain) {
                    faults.add(fault);
                }
            }
        }
        let mut next = None;
        loop {
            let compared = self.audit_trail.compared_events(next, PAGE).await?;
            compared.faults.into_iter().for_each(|fault| faults.add(fault));
            next = compared.next;
            if next.is_none() {
                break;
            }
        }
        self.audit_trail.contradictions().await?.into_iter().for_each(|fault| faults.add(fault));
        if let Some(journaling) = &self.journaling {
            verified.journal = Some(match compare(journaling, &mut faults).await {
                Err(error @ StoreError::Journal(_)) => Err(error.into()),
                compared => Ok(compared?),
            });
        }
        let broken = faults.processes.len() as u64 + faults.more;
        match faults.first {
            None => Ok(verified),
            Some(first) => Err(VerifyAuditTrailError::Broken { first, broken }),
        }
    }

    fn verify(&self, chain: &Chain) -> Result<(), Fault> {
        let receipt = self.audit_trail.verify(chain)?;
        match (&self.receipts, receipt) {
            (Some(checker), Some(receipt)) if !is_kept(checker.as_ref(), chain, &receipt) => Err(Fault {
                process_id: chain.process_id.clone(),
                sequence: receipt.audit_head.length,
                kind: FaultKind::ReceiptDiffers,
            }),
            _ => Ok(()),
        }
    }
}

/// Compares everything that the journal has with what is stored; returns how many processes that is.
async fn compare(journaling: &Journaling, faults: &mut Faults) -> Result<u64, StoreError> {
    journaling.check().await?;
    if journaling.trail.known_journal().await?.id.is_none() {
        // It is begun with the first pass.
        return Ok(0);
    }
    if journaling.lost_pause().await?.is_some() {
        let process_id = "pause_record".to_owned();
        faults.add(Fault { process_id, sequence: 0, kind: FaultKind::PauseLost });
    }
    let (mut after, mut seen) = (0, HashSet::new());
    loop {
        let page = journaling.journal.page(after, PAGE).await?;
        let Some(last) = page.last else { return Ok(seen.len() as u64) };
        after = last;
        let new: Vec<_> = page.processes.into_iter().filter(|id| seen.insert(id.clone())).collect();
        let doubted = not_borne_out(journaling, &new).await?;
        if doubted.is_empty() {
            continue;
        }
        // What was forgotten meanwhile is noted until the journal knows it. So whatever is neither noted now nor known to the
        // journal afterwards was not forgotten.
        let forgotten: HashSet<_> = journaling.trail.forgotten(u32::MAX).await?.into_iter().collect();
        let ids: Vec<_> =
            doubted.into_iter().map(|(id, _)| id).filter(|id| !forgotten.contains(id)).collect();
        not_borne_out(journaling, &ids).await?.into_iter().for_each(|(_, fault)| faults.add(fault));
    }
}

async fn not_borne_out(
    journaling: &Journaling,
    processes: &[DeletionProcessId],
) -> Result<Vec<(DeletionProcessId, Fault)>, StoreError> {
    if processes.is_empty() {
        return Ok(Vec::new());
    }
    let compared = journaling.look(processes).await?;
    let fault = |(id, compared): (DeletionProcessId, Compared)| {
        let fault = compared.fault(&id)?;
        Some((id, fault))
    };
    Ok(compared.into_iter().filter_map(fault).collect())
}

/// Whether this receipt is the one that is kept with the process.
fn is_kept(checker: &dyn ReceiptChecker, chain: &Chain, receipt: &Receipt) -> bool {
    match chain.head.as_ref().map(|head| &head.subject) {
        Some(Subject::Closed(closed)) => {
            closed.receipt.as_deref().is_some_and(|signed| checker.is_receipt(signed, receipt))
        }
        Some(Subject::Process(_)) | None => false,
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
mod tests;
