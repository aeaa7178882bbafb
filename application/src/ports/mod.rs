//! What the use cases need from the outside world, named for the need.

#![cfg_attr(
    any(test, feature = "test-support"),
    expect(
        clippy::ref_option_ref,
        reason = "mockall takes every argument by reference, an optional one too"
    )
)]

mod answered_requests;
mod audit_trail;
mod clock;
mod deletion_processes;
mod identities;
mod ids;
mod own_identities;
mod store_health;
mod token_signer;

pub use answered_requests::AnsweredRequests;
pub use audit_trail::AuditTrail;
pub use clock::Clock;
pub use deletion_processes::{DeletionProcesses, Figures, Page, RipeProcess};
pub use identities::{Identities, Loaded, Version};
pub use ids::{Ids, RandomSourceFailed};
pub use own_identities::OwnIdentities;
pub use store_health::{Connections, StoreHealth};
pub use token_signer::TokenSigner;

#[cfg(any(test, feature = "test-support"))]
pub use {
    answered_requests::MockAnsweredRequests, audit_trail::MockAuditTrail, clock::MockClock,
    deletion_processes::MockDeletionProcesses, identities::MockIdentities, ids::MockIds,
    own_identities::MockOwnIdentities, store_health::MockStoreHealth, token_signer::MockTokenSigner,
};
