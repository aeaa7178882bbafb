//! What one pass of a worker did.

use crate::ports::SinkFigures;
use crate::use_cases::{ErasuresRun, Forgotten, JournalKept, Relayed, Swept};
use crate::{SinkName, StoreError};

/// What one pass did.
#[derive(Debug)]
pub enum PassSummary {
    /// Reminders were sent.
    Reminders(Swept),
    /// Deletions were started.
    Deletions(Swept),
    /// Erasers were asked, and deletions completed.
    Erasures(ErasuresRun),
    /// Events were delivered to these sinks.
    Outbox(Vec<SinkPass>),
    /// What was kept for long enough was forgotten.
    Housekeeping(Forgotten),
    /// The journal has caught up with the database, and was compared with it.
    Journal(JournalKept),
}

/// What one pass did about one sink.
#[derive(Debug)]
pub struct SinkPass {
    /// The sink.
    pub sink: SinkName,
    /// What was done.
    pub relayed: Result<Relayed, StoreError>,
    /// How it is doing now; nothing if that is not known.
    pub figures: Option<SinkFigures>,
}
