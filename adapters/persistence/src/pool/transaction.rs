//! Several statements that are stored together or not at all.

use reprieve_application::StoreError;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tokio::sync::{Mutex, MutexGuard};

use super::Pool;
use super::held::Held;
use super::sqlite::Moment;
use crate::error::store_error;

/// A transaction. Dropped before it is committed or rolled back, it closes its connection, and stores nothing.
pub(crate) struct Transaction {
    open: Mutex<Open>,
    pool: Pool,
}

struct Open {
    held: Held,
    /// A statement failed. PostgreSQL then does nothing more and answers COMMIT as if all were well, and SQLite may have
    /// rolled back and take the next statement for a transaction of its own.
    failed: bool,
}

impl Transaction {
    pub(super) async fn begin(mut held: Held, pool: Pool) -> Result<Self, DbErr> {
        let begun = pool.within_limit(held.begin()).await;
        if begun.is_err() {
            // Where SQLite does not get the lock, nothing has begun.
            held.settle(&begun);
        }
        pool.observe(begun).await?;
        Ok(Self { open: Mutex::new(Open { held, failed: false }), pool })
    }

    /// Stores what was done. Only if this succeeds may anything be acknowledged.
    ///
    /// # Errors
    /// If it is not stored, or if that is unknown.
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        let Self { open, pool } = self;
        let Open { mut held, failed } = open.into_inner();
        if failed {
            return Err(DbErr::Exec(RuntimeErr::Internal(
                "a statement of the transaction failed".to_owned(),
            )));
        }
        let committed = pool.within_limit(held.execute_text("COMMIT".to_owned())).await;
        held.is_sound(committed.is_ok());
        if committed.is_ok() {
            pool.check_files(&mut held, Moment::Stored).await?;
        }
        drop(held);
        pool.observe(committed).await?;
        pool.note_stored();
        Ok(())
    }

    /// Stores nothing. If that fails, the connection is closed, which comes to the same.
    pub(crate) async fn rollback(self) {
        let Self { open, pool } = self;
        let mut held = open.into_inner().held;
        let rolled_back = pool.within_limit(held.execute_text("ROLLBACK".to_owned())).await;
        held.is_sound(rolled_back.is_ok());
    }

    /// Takes the connection for a statement. Until it is known that the statement has not failed it has: the future may be
    /// dropped on the way.
    async fn open(&self) -> Result<MutexGuard<'_, Open>, DbErr> {
        let mut open = self.open.lock().await;
        if open.failed {
            return Err(DbErr::Exec(RuntimeErr::Internal("the transaction has failed".to_owned())));
        }
        open.failed = true;
        Ok(open)
    }

    async fn settle<T>(&self, mut open: MutexGuard<'_, Open>, done: Result<T, DbErr>) -> Result<T, DbErr> {
        open.failed = done.is_err();
        drop(open);
        self.pool.observe(done).await
    }
}

/// Commits, or rolls back and says why.
pub(crate) async fn end<T>(transaction: Transaction, result: Result<T, StoreError>) -> Result<T, StoreError> {
    match result {
        Ok(done) => transaction.commit().await.map(|()| done).map_err(store_error),
        Err(error) => {
            transaction.rollback().await;
            Err(error)
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut open = self.open().await?;
        let done = self.pool.within_limit(open.held.execute(statement)).await;
        self.settle(open, done).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut open = self.open().await?;
        let done = self.pool.within_limit(open.held.execute_text(sql.to_owned())).await;
        self.settle(open, done).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut open = self.open().await?;
        let done = self.pool.within_limit(open.held.query(statement)).await;
        self.settle(open, done).await
    }
}
