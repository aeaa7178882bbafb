//! One file a use case, named as in enmeshed's `IdentityDeletionProcessFacade` where it is one of those.

mod answer_once;
mod cancel_identity_deletion_process;
mod cancel_identity_deletion_process_by_id;
mod check_health;
mod forget_answered_requests;
mod generate_api_key;
mod get_active_identity_deletion_process;
mod get_figures;
mod get_identity;
mod get_identity_deletion_process;
mod get_identity_deletion_processes;
mod initiate_identity_deletion_process;
mod inspect;
mod issue_identity_token;
mod list_deletion_processes;
mod provide_own_identity;
mod start_identity_deletion;
mod verify_audit_trail;

pub use answer_once::{AnswerOnce, AnswerOnceError, Outcome};
pub use cancel_identity_deletion_process::{
    CancelIdentityDeletionProcess, CancelIdentityDeletionProcessError,
};
pub use cancel_identity_deletion_process_by_id::{
    CancelIdentityDeletionProcessById, CancelIdentityDeletionProcessByIdError,
};
pub use check_health::{CheckHealth, Health};
pub use forget_answered_requests::ForgetAnsweredRequests;
pub use generate_api_key::{GenerateApiKey, GenerateApiKeyError, GeneratedApiKey};
pub use get_active_identity_deletion_process::{
    GetActiveIdentityDeletionProcess, GetActiveIdentityDeletionProcessError,
};
pub use get_figures::GetFigures;
pub use get_identity::GetIdentity;
pub use get_identity_deletion_process::{GetIdentityDeletionProcess, GetIdentityDeletionProcessError};
pub use get_identity_deletion_processes::GetIdentityDeletionProcesses;
pub use initiate_identity_deletion_process::{
    InitiateIdentityDeletionProcess, InitiateIdentityDeletionProcessError,
};
pub use inspect::{InspectAuditLogs, InspectDeletionProcess, InspectError, InspectIdentity};
pub use issue_identity_token::{IssueIdentityToken, IssueIdentityTokenError};
pub use list_deletion_processes::ListDeletionProcesses;
pub use provide_own_identity::{ProvideOwnIdentity, ProvideOwnIdentityError};
pub use start_identity_deletion::{StartIdentityDeletion, StartIdentityDeletionError};
pub use verify_audit_trail::{VerifiedAuditTrail, VerifyAuditTrail, VerifyAuditTrailError};

#[cfg(test)]
pub(crate) mod test_data;
