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
            let takes_writes = matches!(answer, Ok(Ok(true)));
            if !matches!(answer, Ok(Ok(_))) {
                connection = None;
            }
            {
                let mut nodes = self.0.lock().unwrap();
                let since = nodes.entry(name.to_owned()).or_default();
                *since = takes_writes.then(|| since.unwrap_or_else(Instant::now));
            }
            sleep(if takes_writes { WHILE_IT_DOES } else { WHILE_IT_DOES_NOT }).await;
        }
    }
}

/// Writes as durably as anybody else; returns whether the server takes that. One that follows another is not asked to, because
/// it would log it.
async fn write(connection: &mut Option<PgConnection>, url: &str) -> Result<bool, sqlx::Error> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => PgConnection::connect(url).await?,
    };
    if sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut open).await? {
        *connection = Some(open);
        return Ok(false);
    }
    let write = "CREATE TABLE IF NOT EXISTS beats (at timestamptz NOT NULL); \
        DELETE FROM beats; INSERT INTO beats VALUES (clock_timestamp())";
    sqlx::raw_sql(write).execute(&mut open).await?;
    *connection = Some(open);
    Ok(true)
}
