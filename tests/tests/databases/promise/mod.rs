//! The promise after the deadline, kept: the workers on real databases, with a clock that can be set and erasers that can
//! be told to fail.

mod eraser;
mod erasures;
mod guarantees;
mod hands;
mod holds;
mod interleavings;
mod journal;
mod ledger;
mod overtaken;
mod put_back;
mod quarantine;
mod restoring;
mod time_travel;
mod world;

/// Makes a test on SQLite and one on PostgreSQL of each of these functions. They get the database.
macro_rules! on_each_database {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(reprieve_tests::TestDatabase::sqlite()).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL: tests/run"]
                async fn $case() {
                    super::$case(reprieve_tests::TestDatabase::postgres().await).await;
                }
            )+
        }
    };
}

pub(crate) use on_each_database;
