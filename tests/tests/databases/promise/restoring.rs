//! A backup is restored: processes in every state before and after it was made, and a journal in every state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reprieve_application::ports::{
    EraseAnswer, ErasePlan, EraseRequest, Eraser, Journal as _, JournaledTrail as _,
};
use reprieve_application::use_cases::{AdoptJournal, Elsewhere, KeepJournal, Replayed, Retention};
use reprieve_application::{Coded as _, Erasers, ErrorCode};
use reprieve_domain::{
    Address, DeletionProcess, DeletionProcessId, EraserName, FailureCode, Status, Timestamp,
};
use reprieve_tests::{PrivatePostgres, Sandbox, Sql, TestDatabase, rounds};

use super::journal::nowhere;
use super::on_each_database;
use super::world::{AUDIT_KEY, DAY, World, address, at, journal_at};

on_each_database!(
    with_a_journal_that_is_up_to_date,
    with_a_journal_that_is_behind_by_some_steps,
    with_the_journal_of_another_deployment_until_its_own_is_back,
    without_a_journal_until_it_is_back,
    with_a_journal_that_was_adopted_since_the_backup,
    with_a_new_journal_because_the_old_one_is_lost_as_well,
    with_a_journal_that_was_restored_from_the_same_backup,
);

/// What an identity has done before the backup is made.
const BEFORE: [Before; 10] = [
    Before::Nothing,
    Before::Requested,
    Before::Reminded,
    Before::Cancelled,
    Before::Ripe,
    Before::HalfErased,
    Before::Deleted,
    Before::Forgotten,
    Before::AskedAfterCancelling,
    Before::AskedAfterDeletion,
];

/// And what it does after that, if it can.
const AFTER: [After; 7] = [
    After::Stays,
    After::Cancels,
    After::CancelsLate,
    After::CancelsAndAsks,
    After::IsDeleted,
    After::IsHalfErased,
    After::IsDeletedAndAsks,
];

/// Each state before with each state after; in a campaign three of each.
const IDENTITIES: usize = BEFORE.len() * AFTER.len();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Requested,
    Reminded,
    Cancelled,
    Ripe,
    HalfErased,
    Deleted,
    Forgotten,
    AskedAfterCancelling,
    AskedAfterDeletion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Stays,
    Cancels,
    CancelsLate,
    CancelsAndAsks,
    IsDeleted,
    IsHalfErased,
    IsDeletedAndAsks,
}

/// An eraser that fails for some identities.
struct Half {
    name: EraserName,
    fails_for: Mutex<BTreeSet<Address>>,
    asked: Mutex<Vec<EraseRequest>>,
}

#[async_trait]
impl Eraser for Half {
    fn name(&self) -> &EraserName {
        &self.name
    }

    async fn erase(&self, request: &EraseRequest) -> EraseAnswer {
        self.asked.lock().unwrap().push(request.clone());
        if self.fails_for.lock().unwrap().contains(&request.address) {
            EraseAnswer::Failed(FailureCode::unreachable())
        } else {
            EraseAnswer::Erased { count: 1 }
        }
    }

    async fn plan(&self, _: &Address) -> ErasePlan {
        ErasePlan::Unknown
    }
}

/// What became of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fate {
    number: usize,
    status: Status,
    asked_at: Timestamp,
}

type Fates = BTreeMap<DeletionProcessId, Fate>;

struct Deployment {
    world: World,
    erasers: [Arc<Half>; 2],
    identities: Vec<(usize, Before, After)>,
    fates: Fates,
    /// When the backup was made.
    in_backup: Fates,
    /// When the database was lost, as far as the journal knows.
    known: Fates,
}

impl Deployment {
    async fn new(database: TestDatabase) -> Self {
        let eraser = |name: &str| {
            let (fails_for, asked) = (Mutex::default(), Mutex::default());
            Arc::new(Half { name: name.parse().unwrap(), fails_for, asked })
        };
        let erasers = ["files", "mail"].map(eraser);
        let configured = erasers.iter().map(|eraser| eraser.clone() as Arc<dyn Eraser>);
        let world = World::with(database, Erasers::new(configured).unwrap()).await;
        world.confirm_clock().await;
        let of_number = |number: usize| {
            (number, BEFORE[number % BEFORE.len()], AFTER[number / BEFORE.len() % AFTER.len()])
        };
        let identities = (0..rounds(IDENTITIES)).map(of_number).collect();
        let (fates, in_backup, known) = <(Fates, Fates, Fates)>::default();
        Self { world, erasers, identities, fates, in_backup, known }
    }

    async fn ask(&mut self, number: usize, days: f64) {
        let process = self.world.initiate_for(number, days).await;
        let fate = Fate { number, status: Status::Active, asked_at: process.created_at() };
        self.fates.insert(process.id().clone(), fate);
    }

    /// If it can.
    async fn cancel(&mut self, number: usize) -> bool {
        let Ok(process) = self.world.cancel(number).await else { return false };
        self.fates.get_mut(process.id()).unwrap().status = Status::Cancelled;
        true
    }

    async fn ask_anew(&mut self, of: After) {
        for (number, _) in self.of(|_, after| after == of) {
            if self.world.open_process(number).await.is_none() {
                self.ask(number, 14.0).await;
            }
        }
    }

    fn of(&self, is_meant: impl Fn(Before, After) -> bool) -> Vec<(usize, After)> {
        let meant = self.identities.iter().filter(|(_, before, after)| is_meant(*before, *after));
        meant.map(|(number, _, after)| (*number, *after)).collect()
    }

    fn mail_fails_for(&self, numbers: Vec<(usize, After)>) {
        *self.erasers[1].fails_for.lock().unwrap() =
            numbers.into_iter().map(|(number, _)| address(number)).collect();
    }

    /// Workers, until nothing is left that is due.
    async fn work(&self) {
        self.world.remind().await;
        self.world.start_deletions().await;
        while self.world.erase().await.acknowledged > 0 {}
        self.world.erase().await;
    }

    /// What is no longer stored was deleted: what is cancelled is known already.
    async fn note_deletions(&mut self) {
        let open = self.fates.iter_mut().filter(|(_, fate)| fate.status != Status::Cancelled);
        for (id, fate) in open {
            let stored = self.world.processes(fate.number).await;
            let found = stored.iter().find(|process| process.id() == id);
            fate.status = found.map_or(Status::Deleted, DeletionProcess::status);
        }
    }

    async fn forget_cancelled(&self, days: u64) {
        let cancelled_processes = Duration::from_hours(24 * days);
        self.world.keep_house_by(Retention { cancelled_processes, ..Retention::default() }).await;
    }

    async fn live_until_the_backup(&mut self) {
        use Before as Is;
        for (number, _) in self.of(|before, _| {
            matches!(
                before,
                Is::Forgotten
                    | Is::AskedAfterCancelling
                    | Is::HalfErased
                    | Is::Deleted
                    | Is::AskedAfterDeletion
            )
        }) {
            self.ask(number, 14.0).await;
        }
        for (number, _) in self.of(|before, _| before == Is::Ripe) {
            self.ask(number, 20.0).await;
        }
        self.world.set(DAY);
        for (number, _) in self.of(|before, _| matches!(before, Is::Forgotten | Is::AskedAfterCancelling)) {
            assert!(self.cancel(number).await);
        }
        self.world.set(8 * DAY);
        for (number, _) in self.of(|before, _| before == Is::Reminded) {
            self.ask(number, 14.0).await;
        }
        self.world.set(12 * DAY);
        for (number, _) in self.of(|before, _| before == Is::Cancelled) {
            self.ask(number, 14.0).await;
            assert!(self.cancel(number).await);
        }
        self.world.set(14 * DAY);
        self.mail_fails_for(self.of(|before, _| before == Is::HalfErased));
        self.work().await;
        self.forget_cancelled(10).await;
        self.world.set(15 * DAY);
        for (number, after) in self.of(|before, _| {
            matches!(before, Is::Requested | Is::AskedAfterCancelling | Is::AskedAfterDeletion)
        }) {
            self.ask(number, if after == After::Stays { 40.0 } else { 14.0 }).await;
        }
        self.world.set(18 * DAY);
        self.world.remind().await;
        self.world.set(20 * DAY + DAY / 2);
        self.world.keep_journal().await;
        self.note_deletions().await;
        self.in_backup = self.fates.clone();
    }

    /// The journal is kept until the end only if it is to be up to date.
    async fn live_on(&mut self, is_up_to_date: bool) {
        self.world.set(21 * DAY);
        for (number, after) in self.of(|_, after| after != After::Stays) {
            let is_open = self.world.open_process(number).await.is_some();
            let is_to_cancel = matches!(after, After::Cancels | After::CancelsAndAsks);
            if !is_open {
                let is_to_end = !is_to_cancel && after != After::CancelsLate;
                self.ask(number, if is_to_end { 5.0 } else { 14.0 }).await;
            }
            if is_to_cancel {
                self.cancel(number).await;
            }
        }
        self.world.set(22 * DAY - 1);
        self.ask_anew(After::CancelsAndAsks).await;
        self.world.set(28 * DAY);
        self.world.keep_journal().await;
        for (number, _) in self.of(|_, after| after == After::CancelsLate) {
            self.cancel(number).await;
        }
        self.world.set(30 * DAY);
        self.mail_fails_for(self.of(|before, after| {
            after == After::IsHalfErased
                || before == Before::HalfErased
                    && !matches!(after, After::IsDeleted | After::IsDeletedAndAsks)
        }));
        self.work().await;
        self.world.set(30 * DAY + DAY / 2);
        self.ask_anew(After::IsDeletedAndAsks).await;
        self.forget_cancelled(5).await;
        if is_up_to_date {
            self.world.keep_journal().await;
        }
        self.note_deletions().await;
    }

    async fn know_what_the_journal_knows(&mut self) {
        self.known.clear();
        for entry in self.world.in_journal().await {
            let fate = self.fates[&entry.process_id].clone();
            self.known.insert(entry.process_id, Fate { status: entry.status, ..fate });
        }
    }

    /// The binary, on the same database and journal.
    fn sandbox(&self) -> Sandbox {
        let journal = format!("sqlite:{}", self.journal_file().display());
        let sandbox = Sandbox::new().on(self.world.url()).with("REPRIEVE__AUDIT__KEY", AUDIT_KEY);
        sandbox.with("REPRIEVE__JOURNAL__URL", journal)
    }

    fn journal_file(&self) -> &Path {
        self.world.journal.url().file().unwrap()
    }

    async fn back_up(&mut self) {
        let database = self.world.database();
        if database.folder().is_none() {
            self.world.close().await;
        }
        if let Some(file) = database.copy().await {
            let sandbox = self.sandbox();
            let line = format!("database backup {}", file.display());
            tokio::task::spawn_blocking(move || sandbox.line(&line).succeeded()).await.unwrap();
        } else {
            self.world = self.world.instance_on(database, 0).await;
        }
    }

    async fn restore(&mut self) {
        self.world.close().await;
        let database = self.world.database();
        database.put_back().await;
        self.start_again_on(database).await;
    }

    async fn start_again_on(&mut self, database: Arc<TestDatabase>) {
        self.world = self.world.instance_on(database, 0).await;
        for eraser in &self.erasers {
            eraser.asked.lock().unwrap().clear();
            eraser.fails_for.lock().unwrap().clear();
        }
    }

    fn asked(&self) -> Vec<EraseRequest> {
        self.erasers.iter().flat_map(|eraser| eraser.asked.lock().unwrap().clone()).collect()
    }

    /// What the identity did last, as far as is known.
    fn newest(&self, number: usize) -> Option<(&DeletionProcessId, &Fate)> {
        let of_identity = self.known.iter().filter(|(_, fate)| fate.number == number);
        of_identity.max_by_key(|(_, fate)| fate.asked_at)
    }

    /// Of no identity is anything erased that had cancelled, or that had come back and asked anew.
    fn nothing_is_harmed(&self) {
        for EraseRequest { address: of, process_id, .. } in self.asked() {
            let number = self.identities.iter().find(|(number, ..)| address(*number) == of).unwrap().0;
            let Some((newest, fate)) = self.newest(number) else { continue };
            let is_harmed =
                fate.status == Status::Cancelled || fate.status == Status::Active && *newest != process_id;
            assert!(!is_harmed, "{process_id} of {:?}: {newest} {fate:?}", self.identities[number]);
        }
    }

    fn known_with(
        &self,
        is_meant: impl Fn(&DeletionProcessId, &Fate) -> bool,
    ) -> BTreeSet<DeletionProcessId> {
        let meant = self.known.iter().filter(|(id, fate)| is_meant(id, fate));
        meant.map(|(id, _)| id.clone()).collect()
    }

    fn was(&self, id: &DeletionProcessId) -> Option<Status> {
        self.in_backup.get(id).map(|fate| fate.status)
    }

    async fn replay(&self, only_look: bool) -> Replayed {
        self.world.replay().execute(nowhere(), only_look).await.unwrap()
    }

    fn compare(&self, replayed: &Replayed, stored: &BTreeSet<usize>) {
        assert_eq!((replayed.failed, &replayed.first_failure), (0, &None));
        let had_started = |fate: &Fate| matches!(fate.status, Status::Deleting | Status::Deleted);
        let is_newest = |id: &_, fate: &Fate| self.newest(fate.number).unwrap().0 == id;
        let ids = |ids: Vec<&DeletionProcessId>| ids.into_iter().cloned().collect::<BTreeSet<_>>();
        let cancelled = self.known_with(|id, fate| {
            let is_to_be = fate.status == Status::Cancelled || had_started(fate) && !is_newest(id, fate);
            is_to_be && self.was(id) == Some(Status::Active)
        });
        assert_eq!(ids(replayed.cancelled_again.iter().map(|one| &one.process_id).collect()), cancelled);
        let came_back = self.known_with(|id, fate| {
            let is_stored = stored.contains(&fate.number) && self.was(id).is_none();
            had_started(fate) && is_newest(id, fate) && (self.was(id) == Some(Status::Active) || is_stored)
        });
        assert_eq!(ids(replayed.came_back.iter().map(|one| &one.deleted_in).collect()), came_back);
        let lost = self.known_with(|id, fate| fate.status == Status::Active && self.was(id).is_none());
        assert_eq!(ids(replayed.lost.iter().map(|one| &one.process_id).collect()), lost);
        let contradict = self.known_with(|id, fate| {
            had_started(fate) && !is_newest(id, fate) && self.was(id) == Some(Status::Deleting)
        });
        assert_eq!(ids(replayed.contradictions.iter().collect()), contradict);
        let all = [&cancelled, &came_back, &lost];
        assert!(all.iter().all(|some| some.len() > 5), "{all:?}");
    }

    /// The service is started before the replay, the replay is run twice, and then time goes on until all is over.
    async fn recover(&mut self) {
        let now = 31 * DAY;
        self.world.set(now);
        let mut stored = BTreeSet::new();
        for (number, ..) in &self.identities {
            if !self.world.processes(*number).await.is_empty() {
                stored.insert(*number);
            }
        }
        self.world.keep_journal().await;
        let doubted: BTreeSet<_> =
            self.world.store.doubted(None, 100_000).await.unwrap().into_iter().collect();
        let sandbox = self.sandbox();
        let verified = tokio::task::spawn_blocking(move || sandbox.line("audit verify")).await.unwrap();
        assert_eq!(verified.code, 1, "{verified:?}");
        assert!(verified.stderr.contains("lacks what the journal has"), "{verified:?}");
        self.work().await;
        self.world.keep_house().await;
        assert!(self.asked().iter().all(|request| !doubted.contains(&request.process_id)));
        self.nothing_is_harmed();
        let before = self.world.with_sql(Sql::dump).await;
        self.compare(&self.replay(true).await, &stored);
        assert_eq!(self.world.with_sql(Sql::dump).await, before, "only looking changes nothing");
        let replayed = self.replay(false).await;
        self.compare(&replayed, &stored);
        self.world.keep_journal().await;
        let (before, figures) = (self.world.with_sql(Sql::dump).await, self.world.journal.figures().await);
        let again = self.replay(false).await;
        assert_eq!((again.cancelled_again, again.came_back, again.accepted), (vec![], vec![], 0));
        assert_eq!(self.world.with_sql(Sql::dump).await, before, "replaying again changes nothing");
        assert_eq!(self.world.journal.figures().await.unwrap(), figures.unwrap());
        self.world.verify().await;
        self.work().await;
        self.nothing_is_harmed();
        self.make_lost_requests_again(now, &replayed).await;
        self.world.set(now + 90 * DAY);
        self.work().await;
        self.world.set(now + 91 * DAY);
        self.work().await;
        self.nothing_is_harmed();
        self.all_is_as_it_should_be(&replayed, &stored).await;
    }

    async fn make_lost_requests_again(&mut self, now: i64, replayed: &Replayed) {
        let addresses: Vec<String> =
            self.identities.iter().map(|(number, ..)| address(*number).to_string()).collect();
        let named = || Some(Elsewhere { addresses: addresses.clone(), backup_taken_at: None });
        let made = self.world.replay().execute(named(), false).await.unwrap();
        let blocked: BTreeSet<usize> =
            replayed.contradictions.iter().map(|other| self.known[other].number).collect();
        for lost in made.lost {
            let Some(made_again) = lost.made_again else {
                assert!(blocked.contains(&self.known[&lost.process_id].number), "{lost:?}");
                continue;
            };
            let fate = self.known.remove(&lost.process_id).unwrap();
            let open = self.world.open_process(fate.number).await.unwrap();
            assert!(open.grace_period_ends_at() >= at(now + 7 * DAY), "{open:?}");
            self.known.insert(made_again.clone(), fate.clone());
            self.fates.insert(made_again, fate);
        }
        let again = self.world.replay().execute(named(), false).await.unwrap();
        let is_blocked = |id: &DeletionProcessId| blocked.contains(&self.known[id].number);
        assert!(again.lost.iter().all(|lost| is_blocked(&lost.process_id)), "{again:?}");
        // Every other one has second thoughts.
        self.world.set(now + 6 * DAY);
        self.work().await;
        self.nothing_is_harmed();
        for (number, ..) in self.identities.clone() {
            let newest = self.newest(number).map(|(id, fate)| (id.clone(), fate.status));
            if let Some((id, Status::Active)) = newest
                && number % 2 == 0
                && self.cancel(number).await
            {
                self.known.get_mut(&id).unwrap().status = Status::Cancelled;
            }
        }
    }

    async fn all_is_as_it_should_be(&self, replayed: &Replayed, stored: &BTreeSet<usize>) {
        let asked = self.asked();
        for (number, ..) in &self.identities {
            let Some((id, fate)) = self.newest(*number) else { continue };
            let open = self.world.open_process(*number).await;
            if replayed.contradictions.iter().any(|other| self.known[other].number == *number) {
                assert_eq!(open.unwrap().status(), Status::Deleting, "{number}");
                continue;
            }
            assert_eq!(open, None, "{:?}: {id} {fate:?}", self.identities[*number]);
            if fate.status != Status::Cancelled && stored.contains(number) {
                let times = asked.iter().filter(|request| request.address == address(*number)).count();
                assert!(times > 0, "{:?} is there still", self.identities[*number]);
                assert_eq!(self.world.processes(*number).await, [], "{number}");
            }
        }
        self.world.verify().await;
        self.world.keep_journal().await;
        let older = self.world.store.older(None, 1000).await.unwrap();
        let of_older = |id: &DeletionProcessId| self.known[id].number;
        let blocked: BTreeSet<usize> = replayed.contradictions.iter().map(of_older).collect();
        assert!(older.iter().all(|id| blocked.contains(&of_older(id))), "{older:?}");
    }

    /// Nothing but requests and cancellations.
    async fn stands_still(&mut self, code: ErrorCode) {
        self.world.set(31 * DAY);
        let stranger = self.identities.len() + 1;
        self.world.initiate(stranger).await;
        self.world.cancel(stranger).await.unwrap();
        let kept = KeepJournal::new(self.world.journaling()).execute().await;
        assert_eq!(kept.unwrap_err().code(), code);
        assert_eq!(self.world.try_start_deletions().await.unwrap_err().code(), code);
        let erased = self.world.erasures().execute().await;
        assert!(erased.is_err() || erased.unwrap().acknowledged == 0);
        let replayed = self.world.replay().execute(nowhere(), false).await;
        assert_eq!(replayed.unwrap_err().code(), code);
        assert_eq!(self.asked(), []);
        let compared = self.world.compared().await.unwrap().journal.unwrap();
        assert_eq!(compared.unwrap_err().code, code);
        let id = self.world.processes(stranger).await.remove(0);
        let fate = Fate { number: stranger, status: Status::Cancelled, asked_at: id.created_at() };
        self.fates.insert(id.id().clone(), fate);
        self.identities.push((stranger, Before::Nothing, After::Stays));
    }

    /// What only the journal knew is lost with it: everything goes on as the backup has it.
    async fn goes_on_as_the_backup_has_it(&mut self) {
        self.known = self.in_backup.clone();
        self.world.set(31 * DAY);
        assert_eq!(self.world.keep_journal().await.older, 0);
        let replayed = self.replay(false).await;
        assert_eq!(
            (replayed.failed, replayed.accepted, replayed.cancelled_again, replayed.came_back, replayed.lost),
            (0, 0, vec![], vec![], vec![])
        );
        assert_eq!(self.world.compared().await.unwrap().journal.map(|compared| compared.is_ok()), Some(true));
        for days in [31, 90, 91] {
            self.world.set(days * DAY);
            self.work().await;
        }
        self.nothing_is_harmed();
        self.all_is_as_it_should_be(&Replayed::default(), &BTreeSet::new()).await;
    }
}

/// Lived in, with a backup, and lost.
async fn lost(database: TestDatabase, is_up_to_date: bool) -> Deployment {
    let mut deployment = Deployment::new(database).await;
    deployment.live_until_the_backup().await;
    deployment.back_up().await;
    deployment.live_on(is_up_to_date).await;
    deployment.know_what_the_journal_knows().await;
    deployment
}

async fn with_a_journal_that_is_up_to_date(database: TestDatabase) {
    let mut deployment = lost(database, true).await;
    let fates =
        |fates: &Fates| fates.iter().map(|(id, fate)| (id.clone(), fate.status)).collect::<BTreeMap<_, _>>();
    assert_eq!(fates(&deployment.known), fates(&deployment.fates));
    let is_deleting = |id: &DeletionProcessId| deployment.was(id) == Some(Status::Deleting);
    let came_back = deployment.known_with(|id, fate| {
        is_deleting(id) && deployment.newest(fate.number).is_some_and(|(newest, _)| newest != id)
    });
    assert!(!came_back.is_empty(), "what was being deleted and has come back since is among them");
    deployment.restore().await;
    deployment.recover().await;
}

async fn with_a_journal_that_is_behind_by_some_steps(database: TestDatabase) {
    let mut deployment = lost(database, false).await;
    let has = |id: &DeletionProcessId, fate: &Fate| {
        deployment.known.get(id).is_some_and(|known| known.status == fate.status)
    };
    let lacks = deployment.fates.iter().filter(|(id, fate)| !has(id, fate)).count();
    assert!(lacks > 5, "{lacks}");
    deployment.restore().await;
    deployment.recover().await;
}

async fn with_the_journal_of_another_deployment_until_its_own_is_back(database: TestDatabase) {
    let mut deployment = lost(database, true).await;
    deployment.restore().await;
    let folder = tempfile::tempdir().unwrap();
    let another = Arc::new(journal_at(folder.path().join("another")));
    another.begin("another").await.unwrap();
    let own = std::mem::replace(&mut deployment.world.journal, another);
    deployment.stands_still(ErrorCode::JournalForeign).await;
    deployment.world.journal = own;
    deployment.recover().await;
}

async fn without_a_journal_until_it_is_back(database: TestDatabase) {
    let mut deployment = lost(database, true).await;
    deployment.restore().await;
    let folder = tempfile::tempdir().unwrap();
    let missing = Arc::new(journal_at(folder.path().join("missing")));
    let own = std::mem::replace(&mut deployment.world.journal, missing);
    deployment.stands_still(ErrorCode::JournalMissing).await;
    deployment.world.journal = own;
    deployment.recover().await;
}

impl Deployment {
    async fn adopt(&self) {
        let adopt = AdoptJournal::new(self.world.journaling(), Arc::new(self.world.now()));
        adopt.execute().await.unwrap();
    }
}

/// The backup knows the journal before, and the new one has everything: it is adopted once more.
async fn with_a_journal_that_was_adopted_since_the_backup(database: TestDatabase) {
    let mut deployment = Deployment::new(database).await;
    deployment.live_until_the_backup().await;
    deployment.back_up().await;
    let folder = tempfile::tempdir().unwrap();
    deployment.world.journal = Arc::new(journal_at(folder.path().join("new")));
    deployment.adopt().await;
    deployment.live_on(true).await;
    deployment.know_what_the_journal_knows().await;
    deployment.restore().await;
    deployment.stands_still(ErrorCode::JournalForeign).await;
    deployment.adopt().await;
    deployment.recover().await;
}

async fn with_a_new_journal_because_the_old_one_is_lost_as_well(database: TestDatabase) {
    let mut deployment = lost(database, true).await;
    deployment.restore().await;
    let folder = tempfile::tempdir().unwrap();
    deployment.world.journal = Arc::new(journal_at(folder.path().join("new")));
    deployment.stands_still(ErrorCode::JournalMissing).await;
    deployment.adopt().await;
    deployment.goes_on_as_the_backup_has_it().await;
    assert_eq!(deployment.world.store.adoptions().await.unwrap().len(), 1);
}

async fn with_a_journal_that_was_restored_from_the_same_backup(database: TestDatabase) {
    let mut deployment = Deployment::new(database).await;
    deployment.live_until_the_backup().await;
    deployment.back_up().await;
    // Nothing writes to it now, so that its file is all of it once the log is folded in.
    let file = deployment.journal_file().to_owned();
    deployment.world.journal.close().await;
    let copy = file.with_extension("copy");
    std::fs::copy(&file, &copy).unwrap();
    deployment.world.journal = Arc::new(journal_at(&file));
    deployment.live_on(true).await;
    deployment.world.journal.close().await;
    deployment.restore().await;
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
    std::fs::rename(copy, &file).unwrap();
    deployment.world.journal = Arc::new(journal_at(&file));
    deployment.goes_on_as_the_backup_has_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run"]
async fn a_replica_that_is_promoted_without_what_came_last_on_postgres() {
    let primary = PrivatePostgres::start();
    let standby = primary.standby();
    let database = TestDatabase::postgres_on(&primary.url()).await;
    let promoted = database.on_server(&standby.url());
    let mut deployment = Deployment::new(database).await;
    deployment.live_until_the_backup().await;
    standby.catch_up_with(&primary);
    standby.stop_following();
    deployment.live_on(true).await;
    deployment.know_what_the_journal_knows().await;
    drop(primary);
    standby.promote();
    deployment.start_again_on(Arc::new(promoted)).await;
    deployment.recover().await;
}
