//! What the layers cost: initiating and cancelling through the use cases, beside the same statements written by hand.

mod by_hand;
mod figures;
mod one_statement_by_hand;
mod rounds;
mod use_cases;
mod way;

use std::sync::Arc;
use std::time::Duration;

use reprieve_persistence::ConnectionOptions;
use reprieve_tests::{TestDatabase, is_measuring, postgres_server, publish};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use tokio::runtime::Builder;

use crate::by_hand::{PostgresByHand, SqliteByHand};
use crate::figures::compare;
use crate::one_statement_by_hand::OneStatementByHand;
use crate::rounds::{Plan, measure};
use crate::use_cases::UseCases;
use crate::way::{Way, store};

fn main() {
    // As the command line has it, and as a service has it.
    Builder::new_current_thread().enable_all().build().unwrap().block_on(sqlite());
    Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        match postgres_server().await {
            Ok(server) => postgres(&server).await,
            Err(reason) if is_measuring() => {
                publish("steps on PostgreSQL", &format!("**Not measured**: {reason}."));
            }
            Err(reason) => println!("steps on PostgreSQL: not run: {reason}"),
        }
    });
}

/// One client: SQLite is for a single program on one machine.
async fn sqlite() {
    let (own, by_hand) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    let options = ConnectionOptions { max_connections: 1, ..ConnectionOptions::default() };
    store(&by_hand, &options).await.close().await;
    let pool = sqlite_pool(&by_hand).await;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&pool).await.unwrap();
    let ways: Vec<(_, Arc<dyn Way>)> = vec![
        ("the use cases", Arc::new(UseCases::new(store(&own, &options).await))),
        ("a transaction written by hand", Arc::new(SqliteByHand::new(pool))),
    ];
    let plan = Plan { clients: 1, rounds: 100, turn: Duration::from_millis(200) };
    run("steps on SQLite", ways, plan, 0.9, &format!("SQLite {version}, `synchronous=FULL`, one client."))
        .await;
}

async fn postgres(server: &str) {
    const CLIENTS: u32 = 16;
    let options = ConnectionOptions { max_connections: CLIENTS, ..ConnectionOptions::default() };
    let mut databases = Vec::new();
    for _ in 0..3 {
        let database = TestDatabase::postgres_on(server).await;
        store(&database, &options).await.close().await;
        databases.push(database);
    }
    let [own, by_hand, one_statement] = databases.as_slice() else { unreachable!("three were made") };
    let pool = postgres_pool(by_hand, CLIENTS).await;
    let settings: String = sqlx::query_scalar(
        "SELECT format('PostgreSQL %s, fsync %s, synchronous_commit %s', current_setting('server_version'), \
         current_setting('fsync'), current_setting('synchronous_commit'))",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let ways: Vec<(_, Arc<dyn Way>)> = vec![
        ("the use cases", Arc::new(UseCases::new(store(own, &options).await))),
        ("a transaction written by hand", Arc::new(PostgresByHand::new(pool))),
        (
            "a single statement written by hand",
            Arc::new(OneStatementByHand::new(postgres_pool(one_statement, CLIENTS).await)),
        ),
    ];
    let plan = Plan { clients: CLIENTS as usize, rounds: 99, turn: Duration::from_millis(250) };
    let about = format!("{settings}, on the same machine; {CLIENTS} clients with a connection each.");
    run("steps on PostgreSQL", ways, plan, 1.3, &about).await;
}

async fn run(block: &str, ways: Vec<(&'static str, Arc<dyn Way>)>, plan: Plan, target: f64, about: &str) {
    let measuring = is_measuring();
    let plan = if measuring { plan } else { Plan::smoke(plan.clients) };
    let figures = measure(ways, &plan).await;
    if measuring {
        publish(block, &format!("{}\n{about}", compare(&figures, target)));
    } else {
        println!("{block}: ok");
    }
}

async fn sqlite_pool(database: &TestDatabase) -> SqlitePool {
    let options: SqliteConnectOptions = database.url().parse().unwrap();
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
    pool.connect_with(options).await.unwrap()
}

async fn postgres_pool(database: &TestDatabase, connections: u32) -> PgPool {
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(connections).test_before_acquire(false);
    pool.connect_with(options).await.unwrap()
}
