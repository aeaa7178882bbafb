//! One connection while it is used.

use std::sync::Arc;
#[cfg(feature = "postgres")]
use std::time::Duration;

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Sqlite};
use sea_orm::{DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use tokio::sync::OwnedSemaphorePermit;

use super::sqlite::DatabaseFiles;
use crate::error::{Meaning, meaning};

#[cfg(feature = "postgres")]
use super::postgres::{Mode, Server};

/// How long a server may take to say that a connection is still there.
#[cfg(feature = "postgres")]
const RELEASE_LIMIT: Duration = Duration::from_secs(1);

/// A connection that goes back to its pool if it is sound when this is dropped, and is closed otherwise.
pub(super) struct Held {
    connection: Option<Connection>,
    sound: bool,
    /// Until it is given back, the next in line waits.
    turn: Option<OwnedSemaphorePermit>,
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "SQLite needs nothing around a statement")
    )]
    in_transaction: bool,
}

enum Connection {
    /// With the files, if it is the one that writes.
    Sqlite(PoolConnection<Sqlite>, Option<Arc<DatabaseFiles>>),
    #[cfg(feature = "postgres")]
    Postgres(PoolConnection<sqlx::Postgres>, Arc<Server>),
}

impl Held {
    pub(super) fn sqlite(connection: PoolConnection<Sqlite>, written: Option<&Arc<DatabaseFiles>>) -> Self {
        Self::new(Connection::Sqlite(connection, written.map(Arc::clone)))
    }

    #[cfg(feature = "postgres")]
    pub(super) fn postgres(connection: PoolConnection<sqlx::Postgres>, server: &Arc<Server>) -> Self {
        Self::new(Connection::Postgres(connection, Arc::clone(server)))
    }

    fn new(connection: Connection) -> Self {
        Self { connection: Some(connection), sound: true, turn: None, in_transaction: false }
    }

    /// The same, whose turn it is.
    pub(super) fn having(mut self, turn: Option<OwnedSemaphorePermit>) -> Self {
        self.turn = turn;
        self
    }

    /// What one statement, which was a transaction of its own, leaves behind.
    pub(super) fn settle<T>(&mut self, done: &Result<T, DbErr>) {
        self.sound = match done {
            Ok(_) => true,
            // The database has said no, and that was all: these end the statement and nothing else.
            Err(error) => matches!(
                meaning(error),
                Meaning::Conflict
                    | Meaning::Contention
                    | Meaning::SecondOpenProcess
                    | Meaning::AlreadyAnswered
                    | Meaning::Busy
                    | Meaning::NoSuchTable
            ),
        };
    }

    /// Whether it goes back to its pool.
    pub(super) fn is_sound(&mut self, sound: bool) {
        self.sound = sound;
    }

    pub(super) async fn execute(&mut self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.sound = false;
        #[cfg(feature = "postgres")]
        let in_transaction = self.in_transaction;
        match self.connection()? {
            Connection::Sqlite(connection, _) => {
                prepared(statement).execute(&mut **connection).await.map(Into::into).map_err(exec_error)
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection, server) => match server.mode() {
                Mode::Prepared => {
                    prepared(statement).execute(&mut **connection).await.map(Into::into).map_err(exec_error)
                }
                Mode::Text => {
                    let text = server.as_text(statement, in_transaction)?;
                    text.execute(&mut **connection).await.map(Into::into).map_err(exec_error)
                }
            },
        }
    }

    pub(super) async fn query(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.sound = false;
        #[cfg(feature = "postgres")]
        let in_transaction = self.in_transaction;
        match self.connection()? {
            Connection::Sqlite(connection, _) => {
                let rows = prepared(statement).fetch_all(&mut **connection).await;
                Ok(rows.map_err(query_error)?.into_iter().map(Into::into).collect())
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection, server) => {
                let rows = match server.mode() {
                    Mode::Prepared => prepared(statement).fetch_all(&mut **connection).await,
                    Mode::Text => {
                        server.as_text(statement, in_transaction)?.fetch_all(&mut **connection).await
                    }
                };
                Ok(rows.map_err(query_error)?.into_iter().map(Into::into).collect())
            }
        }
    }

    /// A text as it is: no parameters, and nothing around it.
    pub(super) async fn execute_text(&mut self, sql: String) -> Result<ExecResult, DbErr> {
        self.sound = false;
        let text = sqlx::raw_sql(AssertSqlSafe(sql));
        match self.connection()? {
            Connection::Sqlite(connection, _) => {
                text.execute(&mut **connection).await.map(Into::into).map_err(exec_error)
            }
            #[cfg(feature = "postgres")]
            Connection::Postgres(connection, _) => {
                text.execute(&mut **connection).await.map(Into::into).map_err(exec_error)
            }
        }
    }

    /// Begins a transaction that may write.
    pub(super) async fn begin(&mut self) -> Result<(), DbErr> {
        let begin = match self.connection()? {
            Connection::Sqlite(..) => "BEGIN IMMEDIATE".to_owned(),
            #[cfg(feature = "postgres")]
            Connection::Postgres(_, server) => server.begin(),
        };
        self.in_transaction = true;
        self.execute_text(begin).await.map(drop)
    }

    fn connection(&mut self) -> Result<&mut Connection, DbErr> {
        self.connection
            .as_mut()
            .ok_or_else(|| DbErr::Conn(RuntimeErr::Internal("the connection was given back".to_owned())))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _turn = self.turn.take();
        match self.connection.take() {
            None => {}
            Some(Connection::Sqlite(connection, _)) if self.sound => drop(connection),
            Some(Connection::Sqlite(connection, written)) => {
                if let Some(files) = written {
                    files.forget_log();
                }
                drop(connection.detach());
            }
            #[cfg(feature = "postgres")]
            Some(Connection::Postgres(mut connection, _)) if self.sound => {
                // The driver asks whether the connection is still there, and would wait for the answer for ever.
                let returned = connection.return_to_pool();
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move { tokio::time::timeout(RELEASE_LIMIT, returned).await });
                }
            }
            // What is dropped is closed at once, without waiting for a server that may not be there.
            #[cfg(feature = "postgres")]
            Some(Connection::Postgres(connection, _)) => drop(connection.detach()),
        }
    }
}

fn prepared<'q, DB>(statement: Statement) -> sqlx::query::Query<'q, DB, SqlxValues>
where
    DB: sqlx::Database,
    SqlxValues: sqlx::IntoArguments<DB>,
{
    let values = statement.values.unwrap_or_else(|| sea_orm::Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}
