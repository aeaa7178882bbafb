//! Load, ask the domain, save: again if somebody else was faster.

use reprieve_domain::{Address, Identity, Step};

use crate::ports::Identities;
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
    for _ in 0..ATTEMPTS {
        let loaded = identities.load(address).await?;
        let step = decide(&loaded.value)?;
        let answered = recording.map(|recording| recording.answered(step.process()));
        match identities.save(&step, loaded.version, answered.as_ref()).await {
            Ok(()) => return Ok(step),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}
