//! What is said of a completed deletion, to whoever asks for proof.

use reprieve_domain::audit::{Chain, ChainHead, KeyedHash, Proof, Subject};
use reprieve_domain::{
    DeletionProcess, DeletionProcessId, EraserName, Erasure, State, Timestamp, WaiverCode,
};

/// That an identity was deleted, by whom and when. It names nobody: the identity is a keyed hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The process.
    pub process_id: DeletionProcessId,
    /// The identity, as a keyed hash.
    pub identity_hash: KeyedHash,
    /// When the deletion was asked for.
    pub created_at: Timestamp,
    /// When the grace period ended.
    pub grace_period_ends_at: Timestamp,
    /// When the deletion started.
    pub deletion_started_at: Timestamp,
    /// When the last erasure was settled and the process ended.
    pub deletion_completed_at: Timestamp,
    /// Every eraser, by name.
    pub erasures: Vec<SettledErasure>,
    /// Where the audit trail of the process ended.
    pub audit_head: ChainHead,
}

/// What became of one erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettledErasure {
    /// The eraser has acknowledged that the data is gone.
    Acknowledged {
        /// The eraser.
        eraser: EraserName,
        /// When it acknowledged.
        at: Timestamp,
        /// How many things it says it erased.
        count: u64,
    },
    /// An operator did without an acknowledgement.
    Waived {
        /// The eraser.
        eraser: EraserName,
        /// When it was waived.
        at: Timestamp,
        /// Why.
        code: WaiverCode,
    },
}

impl SettledErasure {
    /// The eraser.
    #[must_use]
    pub fn eraser(&self) -> &EraserName {
        match self {
            Self::Acknowledged { eraser, .. } | Self::Waived { eraser, .. } => eraser,
        }
    }
}

impl Receipt {
    /// The receipt that must be kept of a process that is closed and Deleted, as its chain proves; nothing for any other.
    #[must_use]
    pub fn proven(chain: &Chain, proof: &Proof) -> Option<Self> {
        let stored = chain.head.as_ref().filter(|head| matches!(head.subject, Subject::Closed(_)))?;
        let hash = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok().map(KeyedHash::from);
        let erasures = proof.erasures().filter_map(|(eraser, erasure)| settled(eraser, erasure));
        Some(Self {
            process_id: chain.process_id.parse().ok()?,
            identity_hash: hash(proof.identity_hash())?,
            created_at: proof.created_at(),
            grace_period_ends_at: proof.grace_period_ends_at(),
            deletion_started_at: proof.deletion_started_at()?,
            deletion_completed_at: proof.deletion_completed_at()?,
            erasures: erasures.collect(),
            audit_head: ChainHead { length: stored.length, hash: hash(&stored.hash)? },
        })
    }

    /// The receipt of a process that is Deleted; nothing for any other.
    #[must_use]
    pub fn of(process: &DeletionProcess, identity_hash: KeyedHash, audit_head: ChainHead) -> Option<Self> {
        let State::Deleted(deleted) = process.state() else { return None };
        let erasures = deleted.erasures().filter_map(|(eraser, erasure)| settled(eraser, erasure));
        Some(Self {
            process_id: process.id().clone(),
            identity_hash,
            created_at: process.created_at(),
            grace_period_ends_at: process.grace_period_ends_at(),
            deletion_started_at: deleted.started_at(),
            deletion_completed_at: deleted.completed_at(),
            erasures: erasures.collect(),
            audit_head,
        })
    }
}

/// Nothing for one that is pending, which a process that is Deleted does not have.
fn settled(eraser: &EraserName, erasure: &Erasure) -> Option<SettledErasure> {
    let eraser = eraser.clone();
    match erasure {
        Erasure::Acknowledged { at, count } => {
            Some(SettledErasure::Acknowledged { eraser, at: *at, count: *count })
        }
        Erasure::Waived { at, code } => Some(SettledErasure::Waived { eraser, at: *at, code: code.clone() }),
        Erasure::Pending { .. } => None,
    }
}
