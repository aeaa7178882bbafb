//! The servers, each asked directly and all the time whether it takes a write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::{sleep, timeout};

/// How often a server is asked that has not taken a write.
const WHILE_IT_DOES_NOT: Duration = Duration::from_millis(20);
/// How often one is asked that has, so that the questions are no load.
const WHILE_IT_DOES: Duration = Duration::from_millis(200);
/// Who has not answered for so long is asked anew.
const PATIENCE: Duration = Duration::from_secs(1);

/// Since when each server has taken every write, if it takes any.
#[derive(Clone, Default)]
pub(crate) struct Nodes(Arc<Mutex<BTreeMap<String, Option<Instant>>>>);

impl Nodes {
    /// Begins to ask.
    pub(crate) fn watch(urls: &BTreeMap<String, String>) -> Self {
        let nodes = Self::default();
        for (name, url) in urls.clone() {
            let nodes = nodes.clone();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(nodes.ask_on(&name, &url))
            });
        }
        nodes
    }

    /// Since when this one takes writes.
    pub(crate) fn writable_since(&self, name: &str) -> Option<Instant> {
        self.0.lock().unwrap().get(name).copied().flatten()
    }

    async fn ask_on(&self, name: &str, url: &str) -> ! {
        let mut connection = None;
        loop {
            let answer = timeout(PATIENCE, write(&mut connection, url)).await;
            // Who says no can be asked again.
            if !matches!(answer, Ok(Ok(()) | Err(sqlx::Error::Database(_)))) {
                connection = None;
            }
            let takes_writes = matches!(answer, Ok(Ok(())));
            {
                let mut nodes = self.0.lock().unwrap();
                let since = nodes.entry(name.to_owned()).or_default();
                *since = takes_writes.then(|| since.unwrap_or_else(Instant::now));
            }
            sleep(if takes_writes { WHILE_IT_DOES } else { WHILE_IT_DOES_NOT }).await;
        }
    }
}

/// A write that has to be as durable as any other one.
async fn write(connection: &mut Option<PgConnection>, url: &str) -> Result<(), sqlx::Error> {
    if connection.is_none() {
        *connection = Some(PgConnection::connect(url).await?);
    }
    if let Some(connection) = connection.as_mut() {
        sqlx::raw_sql(
            "CREATE TABLE IF NOT EXISTS beats (at timestamptz NOT NULL); \
             DELETE FROM beats; INSERT INTO beats VALUES (clock_timestamp())",
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
