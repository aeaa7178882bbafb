//! How the journal and the database stand.

use reprieve_domain::DeletionProcessId;

use crate::journal::Journaling;
use crate::ports::{Adoption, JournalFigures};
use crate::{Failure, StoreError};

/// How many processes are shown or counted.
const MOST: u32 = 1000;

/// Shows how the journal and the database stand, and changes nothing.
pub struct ShowJournal {
    journaling: Journaling,
}

/// How the journal and the database stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalStatus {
    /// Where the journal is.
    pub place: String,
    /// The id of the journal that the database knows.
    pub known: Option<String>,
    /// Why the journal cannot be used.
    pub problem: Option<Failure>,
    /// How much it has; none if it cannot be used, or is not begun.
    pub figures: Option<JournalFigures>,
    /// The processes of which the database lacks what the journal has, as far as passes have noticed; at most a thousand.
    pub older: Vec<DeletionProcessId>,
    /// How many processes the journal is behind with; at most a thousand are counted.
    pub behind: u64,
    /// Whether everything that is stored is still to be compared with the journal.
    pub is_to_be_refilled: bool,
    /// That operators have replaced the journal, oldest first.
    pub adoptions: Vec<Adoption>,
}

impl ShowJournal {
    /// Of this database and this journal.
    #[must_use]
    pub fn new(journaling: Journaling) -> Self {
        Self { journaling }
    }

    /// How they stand now. A journal that cannot be used is part of the answer.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn execute(&self) -> Result<JournalStatus, StoreError> {
        let Journaling { journal, trail, .. } = &self.journaling;
        let known = trail.known_journal().await?;
        let (problem, figures) = match self.journaling.check().await {
            Ok(()) if known.id.is_none() => (None, None),
            Ok(()) => match journal.figures().await {
                Ok(figures) => (None, Some(figures)),
                Err(error) => (Some(error.into()), None),
            },
            Err(error @ StoreError::Journal(_)) => (Some(error.into()), None),
            Err(error) => return Err(error),
        };
        Ok(JournalStatus {
            place: journal.place(),
            known: known.id,
            problem,
            figures,
            older: trail.older(None, MOST).await?,
            behind: trail.unjournaled(None, MOST).await?.len() as u64,
            is_to_be_refilled: known.refill_after.is_some(),
            adoptions: trail.adoptions().await?,
        })
    }
}
