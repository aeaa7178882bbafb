//! The ports of what is remembered: the journal, holds, the switch. What a world has not is answered at once.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{
    Adoption, Alongside, Clock, DeletionProcesses, DeletionsSwitch, Figures, HoldRecord, Holds, Journal,
    JournalError, JournalFigures, JournalPage, JournaledTrail, KnownJournal, Page, Pause, RememberedHolds,
    RememberedPause, StoredHolds, SwitchSetting, Version,
};
use reprieve_domain::audit::{
    Account, Fault, JournalEntry, KeyedHash, PauseChange, Remembered, RememberedHold,
};
use reprieve_domain::{Address, DeletionProcess, DeletionProcessId, Step, Timestamp};

use crate::calls::{Answer, Call, SaveHold};
use crate::clocks::{FIRST, at};
use crate::memory::{Held, Setting, remembered};
use crate::ports::{Ports, numbers, save};
use crate::row::{address, key, number_of, process_id};

/// Up to where the journal is compared at all times: whatever a pass has compared, comparing it again finds the same.
const COMPARED: i64 = 7;

/// What the journal reads of the time is how long it keeps entries, which no model lasts.
pub(crate) struct Unread;

impl Clock for Unread {
    fn now(&self) -> Timestamp {
        at(FIRST)
    }
}

fn change((changed_at, is_paused): Setting) -> PauseChange {
    PauseChange { changed_at, is_paused, reason: Some("moved".to_owned()) }
}

impl Ports {
    async fn ask_journal(&self, call: Call) -> Result<Answer, JournalError> {
        let journal = self.place();
        self.ask(call).await.map_err(|error| JournalError::Unavailable { journal, source: error.into() })
    }

    async fn list_holds(&self, call: Call) -> Result<Vec<Held>, StoreError> {
        let Answer::Holds(holds) = self.ask(call).await? else { unreachable!() };
        Ok(holds)
    }

    async fn rows(&self) -> Result<Vec<DeletionProcess>, StoreError> {
        let Answer::Accounted(rows) = self.ask(Call::Account(None)).await? else { unreachable!() };
        Ok(rows.iter().map(|row| row.process.clone()).collect())
    }
}

#[async_trait]
impl Journal for Ports {
    fn place(&self) -> String {
        "the journal".to_owned()
    }

    async fn id(&self) -> Result<Option<String>, JournalError> {
        Ok(Some("journal".to_owned()))
    }

    async fn begin(&self, _: &str) -> Result<String, JournalError> {
        unreachable!("it is there")
    }

    /// Where nothing is put back, all that is asked of the journal is whether it knows of a deletion.
    async fn append(&self, entries: &[JournalEntry]) -> Result<(), JournalError> {
        let is_known = |entry: &JournalEntry| {
            let seen = self.seen.lock().unwrap();
            seen.get(&number_of(entry.process_id.as_str())).is_some_and(|(_, is_journaled)| *is_journaled)
        };
        if !self.features.is_put_back && entries.iter().all(is_known) {
            return Ok(());
        }
        self.ask_journal(Call::Append(entries.to_vec())).await.map(drop)
    }

    /// Where nothing is put back, the journal has nothing that the database has not. Then it makes no difference if it says
    /// that it has nothing.
    async fn remembered(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Remembered>, JournalError> {
        if !self.features.is_put_back {
            return Ok(BTreeMap::new());
        }
        let remember = Call::Remember(Some(numbers(processes)));
        let Answer::Remembered(lines) = self.ask_journal(remember).await? else { unreachable!() };
        let known = remembered(lines).into_iter();
        Ok(known.map(|(number, known)| (process_id(number), known)).collect())
    }

    async fn append_holds(&self, holds: &[RememberedHold]) -> Result<(), JournalError> {
        let holds = holds.iter().map(Held::from).collect();
        self.ask_journal(Call::AppendHolds(holds)).await.map(drop)
    }

    async fn holds(&self, _: &[KeyedHash]) -> Result<HashMap<KeyedHash, RememberedHolds>, JournalError> {
        if !self.features.is_held || !self.features.is_put_back {
            return Ok(HashMap::new());
        }
        let Answer::Holds(holds) = self.ask_journal(Call::RememberHolds).await? else { unreachable!() };
        let holds = holds.iter().map(Held::remembered).collect();
        let of = RememberedHolds { holds, is_damaged: false };
        Ok(HashMap::from([(key().pseudonym_of_identity(&address()), of)]))
    }

    async fn append_pause(&self, change: &PauseChange) -> Result<(), JournalError> {
        self.ask_journal(Call::AppendSetting((change.changed_at, change.is_paused))).await.map(drop)
    }

    async fn pause(&self) -> Result<RememberedPause, JournalError> {
        if !self.features.is_paused || !self.features.is_put_back {
            return Ok(RememberedPause::default());
        }
        let Answer::Setting(setting) = self.ask_journal(Call::RememberSetting).await? else { unreachable!() };
        Ok(RememberedPause { newest: setting.map(change), is_damaged: false })
    }

    async fn page(&self, after: i64, _: u32) -> Result<JournalPage, JournalError> {
        if after > 0 {
            return Ok(JournalPage::default());
        }
        let Answer::Remembered(lines) = self.ask_journal(Call::Remember(None)).await? else { unreachable!() };
        let last = (!lines.is_empty()).then_some(COMPARED);
        let processes = remembered(lines).into_keys().map(process_id).collect();
        Ok(JournalPage { processes, damaged: Vec::new(), last })
    }

    async fn figures(&self) -> Result<JournalFigures, JournalError> {
        unreachable!("nobody looks")
    }

    async fn newest(&self) -> Result<i64, JournalError> {
        Ok(COMPARED)
    }

    async fn forget_closed_before(&self, _: Timestamp, _: u32) -> Result<u64, JournalError> {
        unreachable!("no day passes")
    }
}

#[async_trait]
impl JournaledTrail for Ports {
    async fn known_journal(&self) -> Result<KnownJournal, StoreError> {
        let id = Some("journal".to_owned());
        Ok(KnownJournal { id, position: COMPARED, ..KnownJournal::default() })
    }

    async fn remember_journal(&self, _: &str) -> Result<String, StoreError> {
        unreachable!("it is known")
    }

    async fn adopt_journal(&self, _: &str, _: Timestamp) -> Result<(), StoreError> {
        unreachable!("operators do")
    }

    async fn adoptions(&self) -> Result<Vec<Adoption>, StoreError> {
        unreachable!("nobody looks")
    }

    async fn note_position(&self, _: i64) -> Result<(), StoreError> {
        unreachable!("it does not move")
    }

    async fn note_refill(&self, _: Option<String>) -> Result<(), StoreError> {
        unreachable!("the journal is not put back")
    }

    async fn note_ledger(&self, _: u64) -> Result<(), StoreError> {
        unreachable!("there is none")
    }

    async fn accounts(
        &self,
        processes: &[DeletionProcessId],
    ) -> Result<BTreeMap<DeletionProcessId, Result<Account, Fault>>, StoreError> {
        let numbers = numbers(processes);
        let seen = self.seen.lock().unwrap().clone();
        if !self.features.is_put_back && numbers.iter().all(|number| seen.contains_key(number)) {
            // Nothing but the journal looks twice at the same time.
            let rows = numbers.iter().filter_map(|number| seen.get(number));
            return Ok(rows.map(|(row, _)| (row.process.id().clone(), row.account().clone())).collect());
        }
        let account = Call::Account(Some(numbers));
        let Answer::Accounted(rows) = self.ask(account).await? else { unreachable!() };
        Ok(rows.iter().map(|row| (row.process.id().clone(), row.account().clone())).collect())
    }

    /// All there are: which the journal lacks is a hint only.
    async fn unjournaled(&self, _: Option<String>, _: u32) -> Result<Vec<DeletionProcessId>, StoreError> {
        Ok(self.rows().await?.iter().map(|process| process.id().clone()).collect())
    }

    async fn count_unjournaled_before(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        unreachable!("nobody looks")
    }

    async fn processes_after(&self, _: Option<String>, _: u32) -> Result<Vec<DeletionProcessId>, StoreError> {
        unreachable!("the journal is not put back")
    }

    async fn note_journaled(&self, _: &[(DeletionProcessId, i64)]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn unjournaled_holds(&self, _: u32) -> Result<Vec<RememberedHold>, StoreError> {
        if !self.features.is_held {
            return Ok(Vec::new());
        }
        let holds = self.list_holds(Call::ListUnjournaledHolds).await?;
        Ok(holds.iter().map(Held::remembered).collect())
    }

    async fn note_holds_journaled(&self, _: &[RememberedHold]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn pause_setting(&self) -> Result<Option<PauseChange>, StoreError> {
        if !self.features.is_paused {
            return Ok(None);
        }
        let Answer::Setting(setting) = self.ask(Call::FindSetting).await? else { unreachable!() };
        Ok(setting.map(change))
    }

    async fn note_pause_journaled(&self, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn restore_pause(&self, change: &PauseChange) -> Result<(), StoreError> {
        self.ask(Call::RestoreSetting((change.changed_at, change.is_paused))).await.map(drop)
    }

    async fn forgotten(&self, _: u32) -> Result<Vec<DeletionProcessId>, StoreError> {
        Ok(Vec::new())
    }

    async fn note_forgotten(&self, _: &[DeletionProcessId]) -> Result<(), StoreError> {
        unreachable!("nothing is forgotten")
    }

    /// What is quarantined is for operators to see. Nothing is decided by it.
    async fn quarantine(&self, _: &[Fault]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn older(&self, _: Option<String>, _: u32) -> Result<Vec<DeletionProcessId>, StoreError> {
        unreachable!("nobody looks")
    }

    async fn doubted(&self, _: Option<String>, _: u32) -> Result<Vec<DeletionProcessId>, StoreError> {
        Ok(Vec::new())
    }

    async fn note_current(&self, _: &[DeletionProcessId]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl DeletionProcesses for Ports {
    async fn find(&self, _: &Address, _: &DeletionProcessId) -> Result<Option<DeletionProcess>, StoreError> {
        unreachable!("nobody looks")
    }

    async fn list(&self, _: &Address) -> Result<Vec<DeletionProcess>, StoreError> {
        self.rows().await
    }

    async fn page(&self, _: &Page) -> Result<Vec<DeletionProcess>, StoreError> {
        unreachable!("nobody looks")
    }

    async fn addresses(&self, after: Option<String>, _: u32) -> Result<Vec<String>, StoreError> {
        if after.is_some() {
            return Ok(Vec::new());
        }
        let is_there = !self.rows().await?.is_empty();
        Ok(is_there.then(|| address().to_string()).into_iter().collect())
    }

    async fn figures(&self, _: Timestamp, _: Timestamp) -> Result<Figures, StoreError> {
        unreachable!("nobody looks")
    }
}

#[async_trait]
impl Holds for Ports {
    async fn of(&self, _: &[Address]) -> Result<HashMap<Address, StoredHolds>, StoreError> {
        if !self.features.is_held {
            return Ok(HashMap::new());
        }
        let records = self.list_holds(Call::ListHolds).await?.into_iter().map(|held| held.0).collect();
        Ok(HashMap::from([(address(), StoredHolds { records, is_damaged: false })]))
    }

    async fn list<'a>(
        &self,
        _: Option<&'a Address>,
        _: Timestamp,
        _: u32,
    ) -> Result<Vec<HoldRecord>, StoreError> {
        unreachable!("nobody looks")
    }

    async fn suspended_until(&self, process: &DeletionProcessId) -> Result<Option<Timestamp>, StoreError> {
        if !self.features.is_held {
            return Ok(None);
        }
        let find = Call::FindSuspension(number_of(process.as_str()));
        let Answer::Suspended(until) = self.ask(find).await? else { unreachable!() };
        Ok(until.map(|until| Timestamp::from_unix_micros(until).unwrap()))
    }

    async fn save<'a>(
        &self,
        record: &HoldRecord,
        replaced: Option<i64>,
        step: Option<(&'a Step, Version)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let step = step.map(|(step, version)| save(step, version, Alongside::Nothing));
        let hold = SaveHold { record: record.clone(), replaced, step, now };
        self.ask(Call::SaveHold(Box::new(hold))).await.map(drop)
    }

    async fn restore(&self, records: &[HoldRecord]) -> Result<(), StoreError> {
        let holds = records.iter().cloned().map(Held).collect();
        self.ask(Call::RestoreHolds(holds)).await.map(drop)
    }
}

#[async_trait]
impl DeletionsSwitch for Ports {
    async fn pause_in_force(&self) -> Result<Option<Pause>, StoreError> {
        if !self.features.is_paused {
            return Ok(None);
        }
        let Answer::Paused(is_paused) = self.ask(Call::FindPause).await? else { unreachable!() };
        Ok(is_paused.then_some(Pause::Unverified))
    }

    async fn set(&self, setting: &SwitchSetting, now: Timestamp) -> Result<bool, StoreError> {
        let set = Call::SetPause(matches!(setting, SwitchSetting::Paused(_)), now);
        let Answer::Paused(is_changed) = self.ask(set).await? else { unreachable!() };
        Ok(is_changed)
    }
}
