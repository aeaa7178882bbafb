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
mod backups;
mod clock;
mod deletion_processes;
mod deletions_switch;
mod due_processes;
mod eraser;
mod erasure_ledger;
mod erasure_tasks;
mod event_deliveries;
mod event_sink;
mod holds;
mod housekeeping;
mod identities;
mod ids;
mod journal;
mod journaled_trail;
mod own_identities;
mod receipts;
mod store_health;
mod token_signer;

pub use answered_requests::AnsweredRequests;
pub use audit_trail::{AuditTrail, ComparedEvents};
pub use backups::{BackupError, Backups, UnfinishedBackup};
pub use clock::{Clock, ClockDoubt, ClockGuard, ClockReadings};
pub use deletion_processes::{DeletionProcesses, Figures, Page};
pub use deletions_switch::{DeletionsSwitch, Pause, SwitchSetting};
pub use due_processes::{Due, DueProcesses, Found, Position};
pub use eraser::{EraseAnswer, ErasePlan, EraseRequest, Eraser};
pub use erasure_ledger::{ErasureLedger, LedgerContent, LedgerError};
pub use erasure_tasks::{
    ErasureTask, ErasureTasks, Quarantined, RetriedTasks, Settlement, TaskOutcome, TaskStatus, Waiver,
};
pub use event_deliveries::{
    EventDeliveries, ParkedEvent, Progress, Redelivery, SetAside, SinkClaim, SinkFigures, SinkHealth,
    WaitingEvent,
};
pub use event_sink::{EventSink, SendError};
pub use holds::{HoldRecord, Holds, StoredHolds};
pub use housekeeping::{Batch, Housekeeping};
pub use identities::{Alongside, Decided, Identities, Loaded, Version};
pub use ids::{Ids, RandomSourceFailed};
pub use journal::{Journal, JournalError, JournalFigures, JournalPage, RememberedHolds, RememberedPause};
pub use journaled_trail::{Adoption, JournaledTrail, KnownJournal};
pub use own_identities::{DeletedOwnIdentity, OwnIdentities};
pub use receipts::{ReceiptChecker, ReceiptSigner, Receipts};
pub use store_health::{Connections, StoreHealth};
pub use token_signer::TokenSigner;

#[cfg(any(test, feature = "test-support"))]
pub use {
    answered_requests::MockAnsweredRequests,
    audit_trail::MockAuditTrail,
    backups::{MockBackups, MockUnfinishedBackup},
    clock::{MockClock, MockClockGuard},
    deletion_processes::MockDeletionProcesses,
    deletions_switch::MockDeletionsSwitch,
    due_processes::MockDueProcesses,
    eraser::MockEraser,
    erasure_ledger::MockErasureLedger,
    erasure_tasks::MockErasureTasks,
    event_deliveries::MockEventDeliveries,
    event_sink::MockEventSink,
    holds::MockHolds,
    housekeeping::MockHousekeeping,
    identities::MockIdentities,
    ids::MockIds,
    journal::MockJournal,
    journaled_trail::MockJournaledTrail,
    own_identities::MockOwnIdentities,
    receipts::{MockReceiptChecker, MockReceiptSigner, MockReceipts},
    store_health::MockStoreHealth,
    token_signer::MockTokenSigner,
};
