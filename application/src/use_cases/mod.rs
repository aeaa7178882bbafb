//! One file a use case, named as in enmeshed's `IdentityDeletionProcessFacade` where it is one of those.

mod adopt_journal;
mod answer_once;
mod back_up_database;
mod cancel_identity_deletion_process;
mod cancel_identity_deletion_process_by_id;
mod check_health;
mod checks;
mod follow_events;
mod forget_journal;
mod generate_api_key;
mod get_active_identity_deletion_process;
mod get_figures;
mod get_identity;
mod get_identity_deletion_process;
mod get_identity_deletion_processes;
mod get_sink_figures;
mod initiate_identity_deletion_process;
mod inspect;
mod issue_identity_token;
mod keep_house;
mod keep_journal;
mod list_deletion_processes;
mod manage_erasures;
mod manage_events;
mod manage_holds;
mod pause_deletions;
mod plan_erasure;
mod provide_own_identity;
mod relay_events;
mod replay_journal;
mod run_erasures;
mod send_reminders;
mod show_journal;
mod show_receipt;
mod start_due_deletions;
mod start_identity_deletion;
mod sweep;
mod verify_audit_trail;
mod waive_erasure;

pub use adopt_journal::{AdoptJournal, AdoptedJournal};
pub use answer_once::{AnswerOnce, AnswerOnceError, Outcome};
pub use back_up_database::{BackUpDatabase, BackUpDatabaseError, BackedUp};
pub use cancel_identity_deletion_process::{
    CancelIdentityDeletionProcess, CancelIdentityDeletionProcessError,
};
pub use cancel_identity_deletion_process_by_id::{
    CancelIdentityDeletionProcessById, CancelIdentityDeletionProcessByIdError,
};
pub use check_health::{CheckHealth, Health};
pub use checks::{
    CheckClocks, CheckDatabase, CheckDeletions, CheckDeletionsPorts, CheckEvents, CheckJournal,
};
pub use follow_events::FollowEvents;
pub use forget_journal::ForgetJournal;
pub use generate_api_key::{GenerateApiKey, GenerateApiKeyError, GeneratedApiKey};
pub use get_active_identity_deletion_process::{
    GetActiveIdentityDeletionProcess, GetActiveIdentityDeletionProcessError,
};
pub use get_figures::GetFigures;
pub use get_identity::GetIdentity;
pub use get_identity_deletion_process::{GetIdentityDeletionProcess, GetIdentityDeletionProcessError};
pub use get_identity_deletion_processes::GetIdentityDeletionProcesses;
pub use get_sink_figures::GetSinkFigures;
pub use initiate_identity_deletion_process::{
    InitiateIdentityDeletionProcess, InitiateIdentityDeletionProcessError,
};
pub use inspect::{InspectAuditLogs, InspectDeletionProcess, InspectError, InspectIdentity};
pub use issue_identity_token::{IssueIdentityToken, IssueIdentityTokenError};
pub use keep_house::{Forgotten, KeepHouse, Retention};
pub use keep_journal::{JournalKept, KeepJournal};
pub use list_deletion_processes::ListDeletionProcesses;
pub use manage_erasures::{ErasuresShown, ManageErasuresError, RetryErasures, ShowErasures};
pub use manage_events::{RedeliverEvents, RedeliverEventsError, ShowParkedEvents};
pub use manage_holds::{HeldIdentity, ManageHolds, ManageHoldsError, NewHold};
pub use pause_deletions::{PauseDeletions, ResumeDeletions};
pub use plan_erasure::PlanErasure;
pub use provide_own_identity::{ProvideOwnIdentity, ProvideOwnIdentityError};
pub use relay_events::{Pace, RelayEvents, RelaySettings, Relayed, Rest};
pub use replay_journal::{
    CameBack, CancelledAgain, Elsewhere, LostRequest, ReplayAction, ReplayJournal, ReplayJournalError,
    ReplayJournalPorts, Replayed,
};
pub use run_erasures::{ErasureSettings, ErasuresRun, RunErasures, RunErasuresError, RunErasuresPorts};
pub use send_reminders::SendReminders;
pub use show_journal::{JournalStatus, ShowJournal};
pub use show_receipt::{ShowReceipt, ShowReceiptError};
pub use start_due_deletions::{StartDueDeletions, StartDueDeletionsPorts};
pub use start_identity_deletion::{RipeProcess, StartIdentityDeletion, StartIdentityDeletionError};
pub use sweep::Swept;
pub use verify_audit_trail::{VerifiedAuditTrail, VerifyAuditTrail, VerifyAuditTrailError};
pub use waive_erasure::{WaiveErasure, WaiveErasureError};

#[cfg(test)]
pub(crate) mod test_data;
