//! One process is put back whole, by hand and at a random moment: its rows in every table as they were once.

use std::sync::Arc;
use std::time::Duration;

use reprieve_application::ports::ErasureTasks as _;
use reprieve_application::use_cases::Retention;
use reprieve_domain::{DeletionProcessId, Status};
use reprieve_tests::{Random, Sql, TestDatabase, rounds};

use super::journal::nowhere;
use super::on_each_database;
use super::world::{DAY, END, TestEraser, World};

on_each_database!(a_process_that_is_put_back_whole_is_quarantined_before_anything_irreversible);

const ROUNDS: usize = 25;

/// Every table with rows of one process, and the column that names it.
const TABLES: [(&str, &str); 7] = [
    ("deletion_processes", "id"),
    ("audit_entries", "process_id"),
    ("erasure_tasks", "process_id"),
    ("closed_processes", "process_id"),
    ("outbox", "process_id"),
    ("unjournaled_steps", "process_id"),
    ("quarantined_processes", "process_id"),
];

/// What it is put back to, and what became of it in the meantime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    RequestedThenCancelled,
    RemindedThenCancelled,
    RequestedThenReminded,
    RequestedThenDeleting,
    RemindedThenDeleted,
    DeletingThenDeleted,
}

const LIVES: [Life; 6] = [
    Life::RequestedThenCancelled,
    Life::RemindedThenCancelled,
    Life::RequestedThenReminded,
    Life::RequestedThenDeleting,
    Life::RemindedThenDeleted,
    Life::DeletingThenDeleted,
];

struct Hand {
    world: World,
    files: Arc<TestEraser>,
    mail: Arc<TestEraser>,
    random: Random,
    now: i64,
    quarantined: usize,
    cancelled_in_time: usize,
}

impl Hand {
    fn set(&mut self, now: i64) {
        self.now = now;
        self.world.set(now);
    }

    async fn keep(&self, process: &DeletionProcessId) {
        let id = process.to_string();
        self.world
            .with_sql(move |sql| {
                for (table, column) in TABLES {
                    sql.execute(&format!("DROP TABLE IF EXISTS kept_{table}"));
                    sql.execute(&format!(
                        "CREATE TABLE kept_{table} AS SELECT * FROM {table} WHERE {column} = '{id}'"
                    ));
                }
            })
            .await;
    }

    async fn put_back(&self, process: &DeletionProcessId) {
        let statements: Vec<String> = TABLES
            .iter()
            .flat_map(|(table, column)| {
                [
                    format!("DELETE FROM {table} WHERE {column} = '{process}'"),
                    format!("INSERT INTO {table} SELECT * FROM kept_{table}"),
                ]
            })
            .collect();
        // The triggers note that the process was written: that is taken back as well, so that only a worker can find it.
        let all = format!(
            "BEGIN; {}; DELETE FROM unjournaled_steps WHERE process_id = '{process}'; COMMIT",
            statements.join("; ")
        );
        self.world.with_sql(move |sql| sql.execute(&all)).await;
    }

    fn times_asked(&self, process: &DeletionProcessId) -> usize {
        let of = |eraser: &TestEraser| {
            let asked = eraser.asked.lock().unwrap();
            asked.iter().filter(|request| request.process_id == *process).count()
        };
        of(&self.files) + of(&self.mail)
    }

    /// Some time within so many days.
    fn moment(&mut self, days: i64) -> i64 {
        i64::try_from(self.random.below(u64::try_from(days * DAY).unwrap())).unwrap()
    }

    async fn start_and_erase(&mut self) {
        self.world.start_deletions().await;
        self.world.erase().await;
    }

    /// Lives up to the moment to which it is put back, and on.
    async fn live(&mut self, life: Life, victim: usize) -> DeletionProcessId {
        let id = self.world.initiate(victim).await.id().clone();
        let start = self.now;
        match life {
            Life::RequestedThenCancelled | Life::RequestedThenReminded | Life::RequestedThenDeleting => {}
            Life::RemindedThenCancelled | Life::RemindedThenDeleted => {
                self.set(start + 3 * DAY);
                self.world.remind().await;
            }
            Life::DeletingThenDeleted => {
                self.set(start + END);
                self.mail.will_fail(1);
                self.start_and_erase().await;
            }
        }
        self.keep(&id).await;
        let later = start + 3 * DAY + self.moment(10);
        match life {
            Life::RequestedThenCancelled | Life::RemindedThenCancelled => {
                self.set(later);
                self.world.cancel(victim).await.unwrap();
            }
            Life::RequestedThenReminded => {
                self.set(later);
                self.world.remind().await;
                assert_eq!(self.world.audited(victim).await.len(), 2);
            }
            Life::RequestedThenDeleting => {
                self.set(start + END);
                self.mail.will_fail(1);
                self.start_and_erase().await;
            }
            Life::RemindedThenDeleted => {
                self.set(start + END);
                self.start_and_erase().await;
            }
            Life::DeletingThenDeleted => {
                self.set(start + END + DAY);
                self.world.erase().await;
            }
        }
        self.world.keep_journal().await;
        id
    }

    /// What workers do when all is due that could be. Another identity is deleted meanwhile.
    async fn work(&mut self, another: usize) {
        let days = Duration::from_hours(24);
        let retention = Retention { cancelled_processes: days, audit_trails: days, ..Retention::default() };
        self.world.remind().await;
        for _ in 0..2 {
            self.start_and_erase().await;
            self.set(self.now + DAY);
        }
        self.world.keep_house_by(retention).await;
        assert_eq!(self.world.processes(another).await, [], "another deletion is held up");
    }

    async fn round(&mut self, number: usize) {
        let (victim, another) = (2 * number, 2 * number + 1);
        let start = self.now;
        self.world.initiate_for(another, 20.0).await;
        // Each life in turn, so that few rounds have all of them; the moments are random.
        let (life, is_to_be_cancelled) =
            (LIVES[number % LIVES.len()], (number / LIVES.len()).is_multiple_of(2));
        let id = self.live(life, victim).await;
        let asked = self.times_asked(&id);
        let was_cancelled = matches!(life, Life::RequestedThenCancelled | Life::RemindedThenCancelled);
        let was_put_to = if life == Life::DeletingThenDeleted { Status::Deleting } else { Status::Active };
        if !is_to_be_cancelled && was_cancelled && self.random.below(2) == 0 {
            // While workers are at it.
            self.set(start + 20 * DAY);
            let erasures = self.world.erasures();
            let ((), swept, _) =
                tokio::join!(self.put_back(&id), self.world.try_start_deletions(), erasures.execute());
            assert!(swept.is_ok(), "{swept:?}");
        } else {
            self.put_back(&id).await;
        }
        let is_in_time = is_to_be_cancelled && self.now < start + END;
        if is_in_time {
            let cancelled = self.world.cancel(victim).await.unwrap();
            assert_eq!((cancelled.id(), cancelled.status()), (&id, Status::Cancelled), "{life:?}");
            self.cancelled_in_time += 1;
        }
        self.set(self.now.max(start + 20 * DAY));
        self.work(another).await;
        assert_eq!(self.times_asked(&id), asked, "{life:?}: an eraser was asked");
        if !is_in_time {
            let [stored] = &self.world.processes(victim).await[..] else { panic!("{life:?}: it is gone") };
            assert_eq!((stored.id(), stored.status()), (&id, was_put_to), "{life:?}");
            let known = self.world.store.quarantined(Some(&id), 9).await.unwrap();
            let reasons: Vec<_> = known.iter().map(|known| known.reason.as_str()).collect();
            assert_eq!(reasons, ["olderThanJournal"], "{life:?}");
            self.quarantined += 1;
        }
        self.set(self.now + DAY);
    }

    /// A replay ends all of it.
    async fn settle(&mut self) {
        let replayed = self.world.replay().execute(nowhere(), false).await.unwrap();
        assert_eq!((replayed.failed, replayed.contradictions.len()), (0, 0), "{replayed:?}");
        self.start_and_erase().await;
        self.world.keep_journal().await;
        self.world.verify().await;
        self.world.compared().await.unwrap();
        assert_eq!(self.world.figures().await.quarantined, 0);
    }
}

async fn a_process_that_is_put_back_whole_is_quarantined_before_anything_irreversible(
    database: TestDatabase,
) {
    let (files, mail) = (TestEraser::new("files"), TestEraser::new("mail"));
    let world = World::new(database, &[files.clone(), mail.clone()]).await;
    world.confirm_clock().await;
    world.with_sql(Sql::drop_triggers).await;
    let random = Random::new();
    let mut hand = Hand { world, files, mail, random, now: 0, quarantined: 0, cancelled_in_time: 0 };
    let rounds = rounds(ROUNDS);
    for number in 0..rounds {
        hand.round(number).await;
        if number % ROUNDS == ROUNDS - 1 || number + 1 == rounds {
            hand.settle().await;
        }
    }
    println!("{} quarantined, {} cancelled in time", hand.quarantined, hand.cancelled_in_time);
    assert_eq!(hand.quarantined + hand.cancelled_in_time, rounds);
    assert!(hand.quarantined > 5 && hand.cancelled_in_time > 0);
}
