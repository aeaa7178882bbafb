//! A process that its audit chain bears out.

use super::{Chain, ChainHead, Proof, Subject};
use crate::DeletionProcess;

/// A stored process all of which follows from its chain, made by
/// [`AuditKey::verify_process`](super::AuditKey::verify_process) and by nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProcess {
    process: DeletionProcess,
    head: ChainHead,
    proof: Proof,
}

impl VerifiedProcess {
    /// Nothing if the chain has no process beside it.
    pub(super) fn new(chain: &Chain, proof: Proof) -> Option<Self> {
        let stored = chain.head.as_ref()?;
        let Subject::Process(process) = &stored.subject else { return None };
        let hash = <[u8; 32]>::try_from(stored.hash.as_slice()).ok()?.into();
        let process = process.restore(&chain.process_id)?;
        Some(Self { process, head: ChainHead { length: stored.length, hash }, proof })
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &DeletionProcess {
        &self.process
    }

    /// The process, given away.
    #[must_use]
    pub fn into_process(self) -> DeletionProcess {
        self.process
    }

    /// Where the chain ends. A step that is decided on this process must be stored on this head and no other.
    #[must_use]
    pub fn head(&self) -> ChainHead {
        self.head
    }

    /// What the chain proves.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}
