//! What a driver reports, as what it means: by code, never by the text of a message.

use reprieve_application::StoreError;
use sea_orm::sqlx::error::{DatabaseError as Reported, Error as SqlxError, ErrorKind};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

use crate::DatabaseError;

/// The partial unique index that allows one open process per identity.
pub(crate) const ONE_OPEN_PROCESS: &str = "one_open_process_per_identity";

/// PostgreSQL's name for the primary key of the answered requests.
const ONE_ANSWER: &str = "answered_requests_pkey";

/// What an error of a driver means, however it was wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The key is taken: nothing was stored, and it can be tried again at once.
    Conflict,
    /// The database ended one of several transactions that were in each other's way: nothing was stored.
    Contention,
    /// The index that allows one open process per identity refused a second one.
    SecondOpenProcess,
    /// The request was answered already.
    AlreadyAnswered,
    /// Somebody else holds the lock for longer than was waited.
    Busy,
    ReadOnly,
    Full,
    /// The disk, or what stands in its place, does not read or write.
    DiskFails,
    /// The server shuts down, starts up, or has ended this connection.
    ShutDown,
    /// The file, or one that SQLite needs beside it, cannot be opened or created.
    CannotOpen,
    /// Not a database, or a damaged one.
    Damaged,
    /// The tables are not there.
    NoSuchTable,
    Other,
}

pub(crate) fn meaning(error: &DbErr) -> Meaning {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return Meaning::Other;
    };
    let SqlxError::Database(error) = error.as_ref() else { return Meaning::Other };
    let Some(code) = error.code() else { return Meaning::Other };
    // SQLite numbers its errors; PostgreSQL's SQLSTATE has five characters.
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => sqlite_meaning(number, error.as_ref()),
        _ => postgres_meaning(&code, error.as_ref()),
    }
}

/// See <https://www.sqlite.org/rescode.html>: the low byte is the primary code.
fn sqlite_meaning(code: u32, error: &dyn Reported) -> Meaning {
    const UNIQUE: u32 = 2067;
    /// The index of the write-ahead log cannot grow: the volume is out of space.
    const IOERR_SHMSIZE: u32 = 4874;
    match code & 0xff {
        // Every other key is a primary key, with a code of its own.
        19 if code == UNIQUE => Meaning::SecondOpenProcess,
        19 if error.kind() == ErrorKind::UniqueViolation => Meaning::Conflict,
        5 | 6 => Meaning::Busy,
        8 => Meaning::ReadOnly,
        13 => Meaning::Full,
        10 if code == IOERR_SHMSIZE => Meaning::Full,
        10 => Meaning::DiskFails,
        14 => Meaning::CannotOpen,
        11 | 26 => Meaning::Damaged,
        _ => Meaning::Other,
    }
}

/// See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres_meaning(code: &str, error: &dyn Reported) -> Meaning {
    match code {
        "23505" if error.constraint() == Some(ONE_OPEN_PROCESS) => Meaning::SecondOpenProcess,
        "23505" if error.constraint() == Some(ONE_ANSWER) => Meaning::AlreadyAnswered,
        // A new id that is taken.
        "23505" => Meaning::Conflict,
        // A serialization failure, a deadlock.
        "40001" | "40P01" => Meaning::Contention,
        "55P03" => Meaning::Busy,
        "25006" => Meaning::ReadOnly,
        "53100" => Meaning::Full,
        "58030" => Meaning::DiskFails,
        // By an administrator, after a crash, while starting up, because the database is dropped; and what poolers say
        // when they have lost the server.
        "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "08000" | "08001" | "08003" | "08004" | "08006"
        | "08P01" => Meaning::ShutDown,
        "XX001" | "XX002" => Meaning::Damaged,
        "42P01" => Meaning::NoSuchTable,
        _ => Meaning::Other,
    }
}

/// What a pool means by a time-out: it keeps trying while a server refuses, and then forgets why.
#[derive(Debug, thiserror::Error)]
#[error(
    "no connection in time: is the server running, listening at this address, and not out of connections?"
)]
struct NoConnectionInTime;

impl From<DbErr> for DatabaseError {
    fn from(error: DbErr) -> Self {
        Self::Store(store_error(error))
    }
}

fn is_pool_timeout(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(error) => matches!(error, ConnAcquireErr::Timeout),
        DbErr::Conn(RuntimeErr::SqlxError(error)) => matches!(error.as_ref(), SqlxError::PoolTimedOut),
        _ => false,
    }
}

pub(crate) fn store_error(error: DbErr) -> StoreError {
    if is_pool_timeout(&error) {
        return StoreError::Unavailable(NoConnectionInTime.into());
    }
    match meaning(&error) {
        Meaning::Conflict | Meaning::Contention => StoreError::Conflict,
        Meaning::SecondOpenProcess => StoreError::OpenProcessExists,
        Meaning::AlreadyAnswered => StoreError::AlreadyAnswered,
        Meaning::ReadOnly => StoreError::ReadOnly(error.into()),
        Meaning::Full => StoreError::Full(error.into()),
        Meaning::Damaged => StoreError::Damaged(error.into()),
        Meaning::Busy
        | Meaning::DiskFails
        | Meaning::ShutDown
        | Meaning::CannotOpen
        | Meaning::NoSuchTable
        | Meaning::Other => StoreError::Unavailable(error.into()),
    }
}
