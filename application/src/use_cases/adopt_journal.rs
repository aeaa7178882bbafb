//! Taking another journal, or a new one, for the database.

use std::sync::Arc;

use crate::StoreError;
use crate::journal::Journaling;
use crate::ports::Clock;

/// Has the database know the journal that is configured, whatever it knew before. An operator decides that: what the old
/// journal had and the database lacks is forgotten.
pub struct AdoptJournal {
    journaling: Journaling,
    clock: Arc<dyn Clock>,
}

/// A journal that was adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedJournal {
    /// Where it is.
    pub place: String,
    /// Its id.
    pub id: String,
    /// The id of the journal that was known before.
    pub known: Option<String>,
    /// Whether it was begun just now.
    pub is_new: bool,
}

impl AdoptJournal {
    /// With its ports.
    #[must_use]
    pub fn new(journaling: Journaling, clock: Arc<dyn Clock>) -> Self {
        Self { journaling, clock }
    }

    /// Adopts it, which is audited. The next pass compares everything with it.
    ///
    /// # Errors
    /// If the journal was written with another audit key or cannot be used; if the store fails.
    pub async fn execute(&self) -> Result<AdoptedJournal, StoreError> {
        let Journaling { journal, trail, .. } = &self.journaling;
        let known = trail.known_journal().await?.id;
        let found = journal.id().await?;
        let is_new = found.is_none();
        let id = match found {
            Some(id) => id,
            None => journal.begin(&self.journaling.new_id()?).await?,
        };
        if known.as_ref() != Some(&id) {
            trail.adopt_journal(&id, self.clock.now()).await?;
        }
        Ok(AdoptedJournal { place: journal.place(), id, known, is_new })
    }
}
