//! The port `StoreHealth`: whether a cancellation could be stored.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use reprieve_application::StoreError;
use reprieve_application::ports::{Connections, StoreHealth};
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, Set};
use tokio::sync::Mutex;

use crate::database::pending;
use crate::entities::deployment;
use crate::error::store_error;
use crate::pool::{Pool, end};
use crate::{Database, DatabaseError, Store};

/// For this long after something was stored, nothing is stored again to see whether it can be.
const PROOF_HOLDS: Duration = Duration::from_secs(1);

/// How long storing may take, and waiting for what else is stored: about as long as a step would wait.
const PROOF_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
#[error("nothing could be stored in time")]
struct NotInTime;

/// The row of the table `deployment` that is written to see whether rows can be written.
const PROOF: &str = "readiness";

/// More bytes than a step takes. A full disk may have room for one row and none for a step.
const AS_MUCH_AS_A_STEP: usize = 64 * 1024;

#[async_trait]
impl StoreHealth for Store {
    async fn check(&self) -> Result<(), StoreError> {
        check(&self.reader, &self.writer, &self.proven).await
    }

    fn connections(&self) -> Connections {
        connections(&self.reader, &self.writer, self.shares_one_pool)
    }
}

/// Before it is known which audit key it was written with.
#[async_trait]
impl StoreHealth for Database {
    async fn check(&self) -> Result<(), StoreError> {
        check(&self.reader, &self.writer, &Mutex::default()).await
    }

    fn connections(&self) -> Connections {
        connections(&self.reader, &self.writer, self.shares_one_pool)
    }
}

async fn check(reader: &Pool, writer: &Pool, proven: &Mutex<Option<Instant>>) -> Result<(), StoreError> {
    match pending(reader).await {
        Ok(pending) if pending.is_empty() => {
            // A disk that hangs must not collect those who ask.
            let proven = tokio::time::timeout(PROOF_LIMIT, prove_storing(writer, proven)).await;
            proven.unwrap_or_else(|_| Err(StoreError::Unavailable(NotInTime.into())))
        }
        Ok(_) => Err(StoreError::NotMigrated),
        Err(DatabaseError::Newer { .. }) => Err(StoreError::Newer),
        Err(DatabaseError::Store(error)) => Err(error),
        Err(other) => Err(StoreError::Unavailable(other.into())),
    }
}

fn connections(reader: &Pool, writer: &Pool, shares_one_pool: bool) -> Connections {
    let (writer, reader) = (of(writer), of(reader));
    if shares_one_pool {
        return writer;
    }
    Connections { open: writer.open + reader.open, idle: writer.idle + reader.idle }
}

/// Stores something that means nothing. A database that is read may refuse to be written to.
async fn prove_storing(writer: &Pool, proven: &Mutex<Option<Instant>>) -> Result<(), StoreError> {
    let mut proven = proven.lock().await;
    let refuses = writer.refuses_to_store();
    if !refuses && proven.is_some_and(|at: Instant| at.elapsed() < PROOF_HOLDS) {
        return Ok(());
    }
    *proven = None;
    if refuses {
        store_proof(writer, filling(AS_MUCH_AS_A_STEP)).await?;
    }
    store_proof(writer, "ready".to_owned()).await?;
    *proven = Some(Instant::now());
    Ok(())
}

async fn store_proof(writer: &Pool, value: String) -> Result<(), StoreError> {
    let transaction = writer.begin().await.map_err(store_error)?;
    let row = deployment::ActiveModel { name: Set(PROOF.to_owned()), value: Set(value) };
    let stored = deployment::Entity::insert(row)
        .on_conflict(
            OnConflict::column(deployment::Column::Name).update_column(deployment::Column::Value).to_owned(),
        )
        .exec_without_returning(&transaction)
        .await
        .map(drop)
        .map_err(store_error);
    end(transaction, stored).await
}

/// A text that cannot be stored in much fewer bytes.
fn filling(length: usize) -> String {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        // The linear congruential generator of Numerical Recipes: any would do.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit(state >> 28, 16).unwrap_or('0')
    })
    .take(length)
    .collect()
}

fn of(pool: &Pool) -> Connections {
    let (open, idle) = pool.size();
    Connections { open, idle: u32::try_from(idle).unwrap_or(u32::MAX) }
}
