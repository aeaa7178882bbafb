//! Load, ask the domain, save: again if somebody else was faster.

use reprieve_domain::{Address, Identity, Step};

use crate::ports::{Identities, Loaded};
use crate::{Recording, StoreError};

/// How often a decision is made anew before giving up. Each conflict means that another step of the same process was
/// stored, and a process has only a few.
const ATTEMPTS: usize = 10;

/// Asks `decide` for a step and stores it. On a conflict nothing was stored: the identity is loaded and asked again, so
/// that the answer is always about what is stored, never about what was. With a `recording`, the answer to the request is
/// stored with the step.
///
/// # Errors
/// What `decide` refuses, and whatever the store reports; [`StoreError::Conflict`] only after [`ATTEMPTS`] conflicts.
pub(crate) async fn decide<E: From<StoreError>>(
    identities: &dyn Identities,
    address: &Address,
    recording: Option<&Recording<'_>>,
    decide: impl Fn(&Identity) -> Result<Step, E> + Send,
) -> Result<Step, E> {
    let loaded = identities.load(address).await?;
    decide_on(loaded, identities, recording, decide).await
}

/// The same, first on an identity that need not have been loaded: what is assumed of it is checked when the step is
/// stored, as what was loaded is.
pub(crate) async fn decide_on<E: From<StoreError>>(
    mut identity: Loaded<Identity>,
    identities: &dyn Identities,
    recording: Option<&Recording<'_>>,
    decide: impl Fn(&Identity) -> Result<Step, E> + Send,
) -> Result<Step, E> {
    for attempt in 1..=ATTEMPTS {
        let step = decide(&identity.value)?;
        let answered = recording.map(|recording| recording.answered(step.process()));
        match identities.save(&step, identity.version, answered.as_ref()).await {
            Ok(()) => return Ok(step),
            Err(StoreError::Conflict | StoreError::OpenProcessExists) if attempt < ATTEMPTS => {
                identity = identities.load(identity.value.address()).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}
