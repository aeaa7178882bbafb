//! What the handlers share.

use std::sync::Arc;

use governor::Quota;
use reprieve_application::ports::{
    AnsweredRequests, AuditTrail, Clock, DeletionProcesses, DeletionsSwitch, EventDeliveries, Holds,
    Identities, Ids, StoreHealth,
};
use reprieve_application::use_cases::{
    AnswerOnce, CancelIdentityDeletionProcess, CancelIdentityDeletionProcessById, CheckHealth,
    GetActiveIdentityDeletionProcess, GetFigures, GetIdentityDeletionProcess, GetIdentityDeletionProcesses,
    GetSinkFigures, InitiateIdentityDeletionProcess, InspectAuditLogs, InspectDeletionProcess,
    InspectIdentity, ListDeletionProcesses, ManageHolds,
};
use reprieve_application::{Caller, ErrorCode, GracePeriodSettings};

use crate::authentication::Authentication;
use crate::limits::RateLimit;
use crate::peer::Peer;
use crate::permits::Permits;
use crate::sample::Sample;
use crate::{Metrics, Settings};

/// The use cases that are served.
#[expect(missing_docs, reason = "each is named after its use case")]
pub struct UseCases {
    pub initiate: InitiateIdentityDeletionProcess,
    pub get_active: GetActiveIdentityDeletionProcess,
    pub get: GetIdentityDeletionProcess,
    pub list: GetIdentityDeletionProcesses,
    pub holds: ManageHolds,
    pub inspect_identity: InspectIdentity,
    pub inspect_process: InspectDeletionProcess,
    pub inspect_audit_logs: InspectAuditLogs,
    pub list_all: ListDeletionProcesses,
    pub figures: GetFigures,
    pub sink_figures: GetSinkFigures,
    pub answer_once: AnswerOnce,
    pub health: CheckHealth,
    pub cancelling: Cancelling,
}

/// What a cancellation is served with, which nothing else is.
#[expect(missing_docs, reason = "each is named after its use case")]
pub struct Cancelling {
    pub cancel: CancelIdentityDeletionProcess,
    pub cancel_by_id: CancelIdentityDeletionProcessById,
    pub get_active: GetActiveIdentityDeletionProcess,
    pub answer_once: AnswerOnce,
}

impl Cancelling {
    fn new<S>(store: &Arc<S>, clock: &Arc<dyn Clock>) -> Self
    where
        S: AnsweredRequests + DeletionProcesses + Identities + 'static,
    {
        let (store, clock) = (|| store.clone(), || clock.clone());
        Self {
            cancel: CancelIdentityDeletionProcess::new(store(), clock()),
            cancel_by_id: CancelIdentityDeletionProcessById::new(store(), store(), clock()),
            get_active: GetActiveIdentityDeletionProcess::new(store()),
            answer_once: AnswerOnce::new(store(), clock()),
        }
    }
}

impl UseCases {
    /// All of them on one store.
    #[must_use]
    pub fn new<S>(
        store: &Arc<S>,
        clock: &Arc<dyn Clock>,
        ids: &Arc<dyn Ids>,
        grace_period: GracePeriodSettings,
    ) -> Self
    where
        S: AnsweredRequests
            + AuditTrail
            + DeletionProcesses
            + DeletionsSwitch
            + EventDeliveries
            + Holds
            + Identities
            + StoreHealth
            + 'static,
    {
        let cancelling = Cancelling::new(store, clock);
        let (store, clock, ids) = (|| store.clone(), || clock.clone(), || ids.clone());
        Self {
            initiate: InitiateIdentityDeletionProcess::new(store(), clock(), ids(), grace_period),
            get_active: GetActiveIdentityDeletionProcess::new(store()),
            get: GetIdentityDeletionProcess::new(store()),
            list: GetIdentityDeletionProcesses::new(store()),
            holds: ManageHolds::new(store(), store(), clock()),
            inspect_identity: InspectIdentity::new(store()),
            inspect_process: InspectDeletionProcess::new(store(), store()),
            inspect_audit_logs: InspectAuditLogs::new(store()),
            list_all: ListDeletionProcesses::new(store()),
            figures: GetFigures::new(store(), clock()),
            sink_figures: GetSinkFigures::new(store()),
            answer_once: AnswerOnce::new(store(), clock()),
            health: CheckHealth::new(store(), store()),
            cancelling,
        }
    }

    /// The same, where cancellations have a store of their own: one with connections that nothing else uses.
    #[must_use]
    pub fn with_reserve<S>(self, store: &Arc<S>, clock: &Arc<dyn Clock>) -> Self
    where
        S: AnsweredRequests + DeletionProcesses + Identities + 'static,
    {
        Self { cancelling: Cancelling::new(store, clock), ..self }
    }
}

/// Everything a request is answered with.
pub struct Service {
    pub(crate) use_cases: UseCases,
    pub(crate) own: Caller,
    pub(crate) authentication: Authentication,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) settings: Settings,
    pub(crate) rate_limit: RateLimit<String>,
    pub(crate) initiations: RateLimit<Peer>,
    pub(crate) sample: Sample,
    pub(crate) permits: Permits,
    pub(crate) metrics: Metrics,
    pub(crate) workers: Box<WorkerProblems>,
    pub(crate) over_limit: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Which kinds of work are not done beside the service, and why.
type WorkerProblems = dyn Fn() -> Vec<(&'static str, ErrorCode)> + Send + Sync;

impl Service {
    /// The service that acts for `own` at the Connector's routes and for whoever authenticates at the others.
    #[must_use]
    pub fn new(
        use_cases: UseCases,
        own: Caller,
        authentication: Authentication,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        settings: Settings,
        metrics: Metrics,
    ) -> Self {
        let rate_limit = RateLimit::new(
            Quota::per_second(settings.requests_per_second).allow_burst(settings.burst),
            "too many requests of this identity",
        );
        let initiations = RateLimit::new(
            Quota::per_minute(settings.initiations_per_minute).allow_burst(settings.initiations_at_once),
            "too many identities of this peer ask to be deleted",
        );
        let permits = Permits::new(settings.concurrent_requests, settings.requests_per_peer);
        Self {
            use_cases,
            own,
            authentication,
            clock,
            ids,
            settings,
            rate_limit,
            initiations,
            sample: Sample::new(),
            permits,
            metrics,
            workers: Box::new(Vec::new),
            over_limit: Box::new(|| 0),
        }
    }

    /// The same, which also says of the workers beside it what keeps them from their work.
    #[must_use]
    pub fn with_workers(
        self,
        problems: impl Fn() -> Vec<(&'static str, ErrorCode)> + Send + Sync + 'static,
    ) -> Self {
        Self { workers: Box::new(problems), ..self }
    }

    /// The same, which also says how many deletions are left to later passes because of the limit on starts.
    #[must_use]
    pub fn with_over_limit(self, over_limit: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { over_limit: Box::new(over_limit), ..self }
    }

    /// A name for an error or a request, such as `ERR` and 17 letters and digits.
    pub(crate) fn name(&self, prefix: &str) -> String {
        // Without randomness the request is still answered; the name only helps to find it in the logs.
        self.ids.name(prefix).unwrap_or_else(|_| format!("{prefix}00000000000000000"))
    }
}
