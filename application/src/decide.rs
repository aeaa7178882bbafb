//! The one way to take a step: load, ask the domain, save; again if another step was stored meanwhile.

use reprieve_domain::{Address, CancelError, DeletionProcessId, Identity, Moment, Step, Timestamp};

use crate::ports::{Alongside, ErasureTask, Identities, Loaded, TaskOutcome, Waiver};
use crate::{Caller, Recording, StoreError};

/// How often a decision is made anew before giving up. Each conflict means that another step of the same process was
/// stored, so that among all who try one always gets ahead, and a process has only as many steps at once as it has erasers.
pub(crate) const ATTEMPTS: usize = 100;

/// What a step is taken for, and what is stored with it therefore.
#[derive(Clone, Copy)]
pub(crate) enum Reason<'a> {
    /// Nothing is stored with it.
    Asked,
    /// A request that may come again; its answer is stored.
    Request(&'a Recording<'a>),
    /// A task that was claimed; what came of it is stored, at this instant.
    Task(&'a ErasureTask, &'a TaskOutcome, Timestamp),
    /// An operator's waiver, which is stored.
    Waiver(&'a Waiver),
}

impl<'a> From<Option<&'a Recording<'a>>> for Reason<'a> {
    fn from(recording: Option<&'a Recording<'a>>) -> Self {
        recording.map_or(Self::Asked, Self::Request)
    }
}

/// Asks `decide` for a step and stores it. On a conflict nothing was stored: the identity is loaded and asked again, so
/// that the answer is always about what is stored, never about what was.
///
/// # Errors
/// What `decide` refuses, and whatever the store reports; [`StoreError::Conflict`] only after [`ATTEMPTS`] conflicts.
pub(crate) async fn decide<E: From<StoreError>>(
    identities: &dyn Identities,
    address: &Address,
    reason: impl Into<Reason<'_>> + Send,
    decide: impl Fn(&Identity) -> Result<Step, E> + Send,
) -> Result<Step, E> {
    let loaded = identities.load(address).await?;
    decide_on(loaded, identities, reason, decide).await
}

/// The same, first on an identity that was loaded before, or not at all: what is assumed of it is checked when the step is
/// stored, as what was loaded is.
pub(crate) async fn decide_on<E: From<StoreError>>(
    mut identity: Loaded<Identity>,
    identities: &dyn Identities,
    reason: impl Into<Reason<'_>> + Send,
    decide: impl Fn(&Identity) -> Result<Step, E> + Send,
) -> Result<Step, E> {
    let reason = reason.into();
    for attempt in 1..=ATTEMPTS {
        let step = decide(&identity.value)?;
        let answered;
        let alongside = match reason {
            Reason::Asked => Alongside::Nothing,
            Reason::Request(recording) => {
                answered = recording.answered(step.process());
                Alongside::Answer(&answered)
            }
            Reason::Task(task, outcome, now) => Alongside::Task(task, outcome, now),
            Reason::Waiver(waiver) => Alongside::Waiver(waiver),
        };
        match identities.save(&step, identity.version, alongside).await {
            Ok(()) => return Ok(step),
            Err(StoreError::Conflict | StoreError::OpenProcessExists) if attempt < ATTEMPTS => {
                identity = identities.load(identity.value.address()).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Cancels the open process although that was refused, if it does not verify: then not its columns decide, but what its
/// chain proves. If there is no such process, it stays `refused`.
///
/// # Errors
/// What is refused all the same, and whatever the store reports.
pub(crate) async fn cancel_doubted<E: From<StoreError> + From<CancelError>>(
    refused: E,
    identities: &dyn Identities,
    caller: &Caller,
    id: Option<&DeletionProcessId>,
    recording: Option<&Recording<'_>>,
    now: impl Fn() -> Moment + Send,
) -> Result<Step, E> {
    for _ in 0..ATTEMPTS {
        let doubted = identities.load_doubted(&caller.address).await?;
        let Some(doubted) = doubted.filter(|doubted| id.is_none_or(|id| doubted.id() == id)) else {
            return Err(refused);
        };
        let step = doubted.cancel(caller.device.clone(), now())?;
        let answered = recording.map(|recording| recording.answered(step.process()));
        let alongside = answered.as_ref().map_or(Alongside::Nothing, Alongside::Answer);
        match identities.save(&step, doubted.head(), alongside).await {
            Ok(()) => {
                tracing::warn!(fault = %doubted.fault(), "a process that does not verify was cancelled by its owner");
                return Ok(step);
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Whether a cancellation was refused because of what is stored, which may have been changed.
pub(crate) fn may_be_doubted(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict | StoreError::Corrupt { .. })
}
