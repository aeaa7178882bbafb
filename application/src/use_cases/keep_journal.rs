//! Writing down outside the database what has happened in it, and noticing that it was put back to an earlier state.

use std::sync::Arc;

use reprieve_domain::DeletionProcessId;
use reprieve_domain::audit::{JournalEntry, JournalKind};

use crate::StoreError;
use crate::journal::{Compared, Journaling};
use crate::ports::{AuditTrail, ErasureLedger, KnownJournal};

/// How many processes are compared at once.
const BATCH: u32 = 500;

/// Keeps the journal up to date, and compares it with the database in both directions.
pub struct KeepJournal {
    pub(super) journaling: Journaling,
    ledger: Option<(Arc<dyn ErasureLedger>, Arc<dyn AuditTrail>)>,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalKept {
    /// How many processes the journal was caught up with.
    pub journaled: u64,
    /// How many processes are known of which the database lacks what the journal has.
    pub older: u64,
    /// How many were journaled as forgotten.
    pub forgotten: u64,
    /// How many could not be journaled, because they do not verify.
    pub faulty: u64,
    /// How many lines of an older version's erasure ledger were taken over.
    pub taken_over: u64,
}

impl KeepJournal {
    /// Of this database and this journal.
    #[must_use]
    pub fn new(journaling: Journaling) -> Self {
        Self { journaling, ledger: None }
    }

    /// The same, and what the erasure ledger of an older version has is taken over, if it is sealed with the key of this
    /// trail.
    #[must_use]
    pub fn with_ledger(self, ledger: Arc<dyn ErasureLedger>, audit_trail: Arc<dyn AuditTrail>) -> Self {
        Self { ledger: Some((ledger, audit_trail)), ..self }
    }

    /// The database and its journal.
    #[must_use]
    pub fn journaling(&self) -> &Journaling {
        &self.journaling
    }

    /// One pass.
    ///
    /// # Errors
    /// If the journal is missing, is another one or cannot be used; if the store fails. What was written until then stays.
    pub async fn execute(&self) -> Result<JournalKept, StoreError> {
        let trail = &self.journaling.trail;
        let known = self.journaling.attach().await?;
        let mut kept = JournalKept::default();
        self.take_over(&known, &mut kept).await?;
        // Before anything is missed that was forgotten.
        self.forgotten(&mut kept).await?;
        let newest = self.journaling.journal.newest().await?;
        if newest < known.position {
            tracing::warn!("the journal was put back to an earlier state: what it lacks is written again");
            trail.note_refill(Some(String::new())).await?;
        }
        self.recognise(known.position, &mut kept).await?;
        let known = trail.known_journal().await?;
        if let Some(after) = known.refill_after {
            self.refill(after, &mut kept).await?;
        }
        let mut after = None;
        loop {
            let page = trail.unjournaled(after.take(), BATCH).await?;
            self.compare(&page, &mut kept).await?;
            after = page.last().map(ToString::to_string);
            if u32::try_from(page.len()).unwrap_or(u32::MAX) < BATCH {
                break;
            }
        }
        self.journal_holds().await?;
        self.journal_pause(known.pause_changed_at).await?;
        kept.older = self.still_older().await?;
        let newest = self.journaling.journal.newest().await?;
        if newest != known.position {
            trail.note_position(newest).await?;
        }
        Ok(kept)
    }

    /// Writes down the holds that the journal lacks.
    async fn journal_holds(&self) -> Result<(), StoreError> {
        loop {
            let holds = self.journaling.trail.unjournaled_holds(BATCH).await?;
            if holds.is_empty() {
                return Ok(());
            }
            self.journaling.journal.append_holds(&holds).await?;
            self.journaling.trail.note_holds_journaled(&holds).await?;
        }
    }

    /// Writes down how the switch that stops deletions is set, if the journal lacks it.
    async fn journal_pause(&self, journaled_at: Option<i64>) -> Result<(), StoreError> {
        let Journaling { journal, trail, .. } = &self.journaling;
        let Some(change) = trail.pause_setting().await? else { return Ok(()) };
        if journaled_at != Some(change.changed_at) {
            journal.append_pause(&change).await?;
            trail.note_pause_journaled(change.changed_at).await?;
        }
        Ok(())
    }

    /// Compares what the journal has got since it was last compared: nothing that this database has not, unless it was put
    /// back.
    async fn recognise(&self, mut after: i64, kept: &mut JournalKept) -> Result<(), StoreError> {
        loop {
            let page = self.journaling.journal.page(after, BATCH).await?;
            let Some(last) = page.last else { return Ok(()) };
            after = last;
            self.compare(&page.processes, kept).await?;
        }
    }

    /// Compares everything that is stored with the journal.
    async fn refill(&self, after: String, kept: &mut JournalKept) -> Result<(), StoreError> {
        let mut after = Some(after);
        while let Some(from) = after.take() {
            let page = self.journaling.trail.processes_after(Some(from), BATCH).await?;
            self.compare(&page, kept).await?;
            after = page.last().map(ToString::to_string);
            self.journaling.trail.note_refill(after.clone()).await?;
        }
        Ok(())
    }

    async fn compare(
        &self,
        processes: &[DeletionProcessId],
        kept: &mut JournalKept,
    ) -> Result<(), StoreError> {
        if processes.is_empty() {
            return Ok(());
        }
        for (process, compared) in self.journaling.compare(processes).await? {
            match compared {
                Compared::Current(_) => kept.journaled += 1,
                // They are counted in the end.
                Compared::Older(..) => {}
                Compared::Faulty(fault) => {
                    kept.faulty += 1;
                    tracing::warn!(%process, %fault, "a process is not journaled");
                }
            }
        }
        Ok(())
    }

    /// Journals that processes were forgotten, with the last that the journal has of each.
    async fn forgotten(&self, kept: &mut JournalKept) -> Result<(), StoreError> {
        loop {
            let processes = self.journaling.trail.forgotten(BATCH).await?;
            if processes.is_empty() {
                return Ok(());
            }
            let remembered = self.journaling.remembered(&processes).await?;
            let newest = remembered.values().filter_map(|known| known.newest());
            let entries: Vec<JournalEntry> = newest
                .map(|newest| JournalEntry { kind: JournalKind::Forgotten, ..newest.clone() })
                .collect();
            self.journaling.journal.append(&entries).await?;
            self.journaling.trail.note_forgotten(&processes).await?;
            kept.forgotten += processes.len() as u64;
        }
    }

    /// Looks again at what the journal did not bear out; returns of how many processes the database lacks something.
    async fn still_older(&self) -> Result<u64, StoreError> {
        let (mut older, mut after) = (0, None);
        loop {
            let page = self.journaling.trail.doubted(after.take(), BATCH).await?;
            let Some(last) = page.last() else { return Ok(older) };
            after = Some(last.to_string());
            let compared = self.journaling.compare(&page).await?;
            let is_current = |id: &&DeletionProcessId| {
                !matches!(compared.get(*id), Some(Compared::Older(..) | Compared::Faulty(_)))
            };
            let current: Vec<_> = page.iter().filter(is_current).cloned().collect();
            let is_older = |compared: &&Compared| matches!(compared, Compared::Older(..));
            older += compared.values().filter(is_older).count() as u64;
            if !current.is_empty() {
                self.journaling.trail.note_current(&current).await?;
            }
        }
    }

    /// Takes over the ledger that an older version has written, whenever it has grown.
    async fn take_over(&self, known: &KnownJournal, kept: &mut JournalKept) -> Result<(), StoreError> {
        let Some((ledger, audit_trail)) = &self.ledger else { return Ok(()) };
        let length = ledger.length().await?;
        if length.is_none() || length == known.ledger_length {
            return Ok(());
        }
        let content = ledger.content().await?;
        let is_sound = |entry: &_| audit_trail.verify_ledger_entry(entry).is_ok();
        let (sound, forged): (Vec<_>, Vec<_>) =
            content.entries.iter().map(|(_, entry)| entry).partition(|entry| is_sound(entry));
        let damaged = content.damaged.len() + forged.len();
        if damaged > 0 {
            tracing::error!(
                damaged,
                "lines of the erasure ledger are not sealed with this audit key and are left out"
            );
        }
        for lines in sound.chunks(BATCH as usize) {
            let entries: Vec<JournalEntry> = lines.iter().map(|line| JournalEntry::from(*line)).collect();
            self.journaling.journal.append(&entries).await?;
        }
        kept.taken_over = sound.len() as u64;
        if let Some(length) = length {
            self.journaling.trail.note_ledger(length).await?;
        }
        Ok(())
    }
}
