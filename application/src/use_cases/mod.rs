//! One file a use case, named as in enmeshed's `IdentityDeletionProcessFacade` where it is one of those.

mod cancel_identity_deletion_process;
mod generate_api_key;
mod get_active_identity_deletion_process;
mod get_identity;
mod get_identity_deletion_process;
mod get_identity_deletion_processes;
mod initiate_identity_deletion_process;
mod issue_identity_token;
mod provide_own_identity;
mod start_identity_deletion;
mod verify_audit_trail;

pub use cancel_identity_deletion_process::{
    CancelIdentityDeletionProcess, CancelIdentityDeletionProcessError,
};
pub use generate_api_key::{GenerateApiKey, GenerateApiKeyError, GeneratedApiKey};
pub use get_active_identity_deletion_process::{
    GetActiveIdentityDeletionProcess, GetActiveIdentityDeletionProcessError,
};
pub use get_identity::GetIdentity;
pub use get_identity_deletion_process::{GetIdentityDeletionProcess, GetIdentityDeletionProcessError};
pub use get_identity_deletion_processes::GetIdentityDeletionProcesses;
pub use initiate_identity_deletion_process::{
    InitiateIdentityDeletionProcess, InitiateIdentityDeletionProcessError,
};
pub use issue_identity_token::{IssueIdentityToken, IssueIdentityTokenError};
pub use provide_own_identity::{ProvideOwnIdentity, ProvideOwnIdentityError};
pub use start_identity_deletion::{StartIdentityDeletion, StartIdentityDeletionError};
pub use verify_audit_trail::{VerifiedAuditTrail, VerifyAuditTrail, VerifyAuditTrailError};

#[cfg(test)]
pub(crate) mod test_data;
