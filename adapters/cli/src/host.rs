//! What the command line needs from whoever wires it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::facade::IdentityDeletionFacade;
use reprieve_application::ports::ClockGuard;
use reprieve_application::use_cases::{
    AdoptJournal, BackUpDatabase, FollowEvents, GenerateApiKey, IssueIdentityToken, ManageHolds,
    PauseDeletions, PlanErasure, RedeliverEvents, ReplayJournal, ResumeDeletions, RetryErasures,
    ShowErasures, ShowJournal, ShowParkedEvents, ShowReceipt, VerifyAuditTrail, WaiveErasure,
};
use reprieve_application::{Finding, OutgoingEvent, PassSummary};

use crate::{Failure, WorkerKind};

/// Provides what a command asks for, when it asks: a command that needs no database opens none.
#[async_trait]
pub trait Host: Send + Sync {
    /// What can be asked on behalf of the own identity, which is created if there is none: of the own database, or of the
    /// server that is named.
    ///
    /// # Errors
    /// If the configuration is not valid or the database cannot be used.
    async fn identity_deletion(&self) -> Result<Box<dyn IdentityDeletionFacade>, Failure>;

    /// Tokens of the own identity, which is created if there is none.
    ///
    /// # Errors
    /// If the configuration is not valid or the database cannot be used.
    async fn issue_identity_token(&self) -> Result<IssueIdentityToken, Failure>;

    /// API keys, for which nothing is opened.
    fn generate_api_key(&self) -> GenerateApiKey;

    /// The audit trail of the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn audit_trail(&self) -> Result<VerifyAuditTrail, Failure>;

    /// One pass of this kind of work, over the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid, the database cannot be used, or the pass ended early.
    async fn run_pass(&self, worker: WorkerKind) -> Result<PassSummary, Failure>;

    /// Passes of this kind of work over the own database, until it is told to stop.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid, or the database cannot be used.
    async fn run_worker(&self, worker: WorkerKind) -> Result<(), Failure>;

    /// What the configured erasers would erase, for which no database is opened.
    ///
    /// # Errors
    /// If the configuration is not valid.
    async fn plan_erasure(&self) -> Result<PlanErasure, Failure>;

    /// The clocks of the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn clocks(&self) -> Result<Arc<dyn ClockGuard>, Failure>;

    /// What is still to be done in the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn show_erasures(&self) -> Result<ShowErasures, Failure>;

    /// Pausing deletions, in the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn pause_deletions(&self) -> Result<PauseDeletions, Failure>;

    /// Having them go on.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn resume_deletions(&self) -> Result<ResumeDeletions, Failure>;

    /// Holds, in the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn holds(&self) -> Result<ManageHolds, Failure>;

    /// Asking erasers again, in the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn retry_erasures(&self) -> Result<RetryErasures, Failure>;

    /// Doing without the acknowledgement of an eraser, in the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn waive_erasure(&self) -> Result<WaiveErasure, Failure>;

    /// The receipts in the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn show_receipt(&self) -> Result<ShowReceipt, Failure>;

    /// The public half of the key that receipts are signed with, as a JWK.
    ///
    /// # Errors
    /// If the configuration is not valid or the key cannot be used.
    fn receipt_public_key(&self) -> Result<String, Failure>;

    /// Checks a signed receipt against the public key in a file, or the own one; returns what it says. Nothing is opened
    /// but the key.
    ///
    /// # Errors
    /// If the receipt is not signed with that key, or is none; if the configuration is not valid or the key cannot be used.
    fn verify_receipt(&self, signed: &str, public_key: Option<&Path>) -> Result<serde_json::Value, Failure>;

    /// The own database and its journal; of the configured erasers those with these names, or all, are asked again.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid, there is no such eraser, or the database cannot be used.
    async fn replay_journal(&self, erasers: &[String]) -> Result<ReplayJournal, Failure>;

    /// How the own database and its journal stand.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn show_journal(&self) -> Result<ShowJournal, Failure>;

    /// Taking another journal for the own database.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn adopt_journal(&self) -> Result<AdoptJournal, Failure>;

    /// The name of each type of events that is told of, and its JSON Schema. Nothing is opened.
    fn event_schemas(&self) -> Vec<(&'static str, &'static str)>;

    /// The events of the own database that wait for somebody to look after them.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn show_parked_events(&self) -> Result<ShowParkedEvents, Failure>;

    /// Having them delivered again.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn redeliver_events(&self) -> Result<RedeliverEvents, Failure>;

    /// The events of the own database, from now on or from the first.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn follow_events(&self, from_beginning: bool) -> Result<FollowEvents, Failure>;

    /// How events look that are sent, for programs.
    ///
    /// # Errors
    /// If the configuration is not valid.
    fn event_lines(&self) -> Result<EventLines, Failure>;

    /// Who says until when something goes on that has no end by itself. From now on, a signal ends nothing else.
    ///
    /// # Errors
    /// If signals cannot be listened to.
    fn until_told_to_stop(&self) -> Result<Box<dyn UntilToldToStop>, Failure>;

    /// Brings the own database to this version; returns the migrations that were applied.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid or the database cannot be used.
    async fn migrate(&self) -> Result<Vec<String>, Failure>;

    /// Copying the own database, which is not migrated for that.
    ///
    /// # Errors
    /// If a server is named instead, the configuration is not valid, the database cannot be used or is no SQLite database.
    async fn back_up_database(&self) -> Result<BackUpDatabase, Failure>;

    /// The service, listening.
    ///
    /// # Errors
    /// If the configuration is not valid, or the database or the address cannot be used.
    async fn bind(&self) -> Result<Box<dyn Server>, Failure>;

    /// What is wrong with the deployment, in the order in which it is shown; only what a cancellation needs, if it is about that.
    /// Nothing is made, and what cannot be checked is a finding.
    ///
    /// # Errors
    /// If a server is named instead.
    async fn check(&self, only_ready: bool) -> Result<Vec<Finding>, Failure>;

    /// The configuration.
    ///
    /// # Errors
    /// If it is not valid.
    fn configuration(&self) -> Result<ConfigurationInForce, Failure>;
}

/// The lines that an event is told in, each a JSON document without a line break.
pub type EventLines = Box<dyn Fn(&OutgoingEvent) -> Vec<String> + Send + Sync>;

/// Says until when something goes on that has no end by itself.
#[async_trait]
pub trait UntilToldToStop: Send {
    /// Waits this long, or until it is told to stop if that is sooner; says whether to go on.
    async fn pause(&mut self, pause: Duration) -> bool;
}

/// A service that listens.
#[async_trait]
pub trait Server: Send {
    /// Where it listens.
    fn listening(&self) -> &Listening;

    /// Answers requests until it is told to stop.
    ///
    /// # Errors
    /// If it has to end in another way.
    async fn run(self: Box<Self>) -> Result<(), Failure>;
}

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Its URL, with the port it got.
    pub url: String,
    /// Whether everybody on this machine may call, because no authentication is configured.
    pub is_open: bool,
}

/// The configuration with secrets hidden, in both forms.
#[derive(Debug, Clone)]
pub struct ConfigurationInForce {
    /// As a TOML document.
    pub toml: String,
    /// As a JSON document.
    pub json: serde_json::Value,
}
