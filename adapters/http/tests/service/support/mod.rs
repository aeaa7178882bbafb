//! A service that runs, people who use it, and a client that holds every answer against the OpenAPI document.

mod client;
mod clock;
mod contract;
mod deployment;
mod noting;
mod people;
mod reply;
pub(crate) mod schema;
mod server;
mod sql;
mod wire;

use std::time::Duration;

pub(crate) use client::Request;
pub(crate) use clock::{DAY, SECOND, START, after};
pub(crate) use contract::DOCUMENT;
pub(crate) use deployment::{ADMIN_KEY, CORE_KEY, Deployment, EXPIRED_KEY, settings};
pub(crate) use noting::Noting;
pub(crate) use people::{AUDIENCE, Person};
pub(crate) use reply::Reply;
pub(crate) use server::Server;
pub(crate) use wire::Wire;

/// The Connector's one route.
pub(crate) const CONNECTOR: &str = "/api/core/v1/IdentityDeletionProcess";
/// Where identities find their processes.
pub(crate) const OWN_PROCESSES: &str = "/api/v2/Identities/Self/DeletionProcesses";

pub(crate) fn own_process(id: &str) -> String {
    format!("{OWN_PROCESSES}/{id}")
}

pub(crate) fn cancel_of(id: &str) -> String {
    format!("{OWN_PROCESSES}/{id}/Cancel")
}

/// Where an administrator finds somebody's processes.
pub(crate) fn processes_of(person: &Person) -> String {
    format!("/api/v1/Identities/{}/DeletionProcesses", person.address)
}

/// What happens soon: later than this, it does not happen any more. Longer than the slowest machine needs.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), event).await.unwrap()
}

/// Waits until a question is answered with yes.
pub(crate) async fn until<F: Future<Output = bool>>(question: impl Fn() -> F) {
    soon(async {
        while !question().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Runs each of the named functions once on SQLite and once on PostgreSQL.
macro_rules! on_each_database {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::support::Deployment::sqlite().await).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL: tests/run"]
                async fn $case() {
                    super::$case(crate::support::Deployment::postgres().await).await;
                }
            )+
        }
    };
}

pub(crate) use on_each_database;
