//! What the use cases need from the outside world, named for the need.

mod audit_trail;
mod clock;
mod deletion_processes;
mod identities;
mod ids;
mod own_identities;
mod token_signer;

pub use audit_trail::AuditTrail;
pub use clock::Clock;
pub use deletion_processes::{DeletionProcesses, RipeProcess};
pub use identities::{Identities, Loaded, Version};
pub use ids::{Ids, RandomSourceFailed};
pub use own_identities::OwnIdentities;
pub use token_signer::TokenSigner;

#[cfg(any(test, feature = "test-support"))]
pub use {
    audit_trail::MockAuditTrail, clock::MockClock, deletion_processes::MockDeletionProcesses,
    identities::MockIdentities, ids::MockIds, own_identities::MockOwnIdentities,
    token_signer::MockTokenSigner,
};
