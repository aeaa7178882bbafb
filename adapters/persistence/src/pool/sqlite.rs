//! Opening a SQLite database, with the settings that the guarantees rest on, and noticing that its path leads elsewhere.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::{DbErr, RuntimeErr};

use super::Pool;
use crate::database::Reserve;
use crate::error::{Meaning, meaning};
use crate::{ConnectionOptions, Database, DatabaseError};

/// How much longer than for a lock a statement may take. A disk may be slow, and nothing else can be asked instead.
const DISK: Duration = Duration::from_secs(30);

/// SQLite allows one writer at a time; a pool of one queues them here, where waiting is fair, instead of in the
/// database, where it is not.
pub(crate) async fn connect(
    path: &Path,
    read_only: bool,
    options: &ConnectionOptions,
) -> Result<Database, DatabaseError> {
    let file_error = |source| DatabaseError::File { path: path.to_owned(), source };
    // Whatever becomes of the folder of the process. SQLite would take `file:` for the beginning of a URL, too.
    let absolute = std::path::absolute(path).map_err(file_error)?;
    let path = absolute.as_path();
    refuse_what_is_no_file(path).map_err(file_error)?;
    if !read_only {
        create_private_file(path).map_err(file_error)?;
    }
    let mut access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
    let files = |access| DatabaseFiles::of(path, access).map(Arc::new).map_err(file_error);
    let mut watched = files(access)?;
    let writer = match open_patiently(path, access, &watched, options).await {
        Err(error) if meaning(&error) == Meaning::CannotOpen => {
            match cannot_be_written(path) {
                None => return Err(error.into()),
                Some(source) if has_log(path) => return Err(file_error(source)),
                Some(_) => access = Access::Immutable,
            }
            watched = files(access)?;
            open_patiently(path, access, &watched, options).await?
        }
        opened => opened?,
    };
    let limit = options.acquire_timeout + DISK;
    let shares_one_pool = options.max_connections <= 1 && options.reserved_connections == 0;
    let lazy = |size| {
        let connect = connect_options(path, access, options.acquire_timeout);
        pool_options(size, options).connect_lazy_with(connect)
    };
    let reader = if shares_one_pool { writer.clone() } else { lazy(options.max_connections) };
    let watch = |pool, writes| Pool::sqlite(pool, Arc::clone(&watched), writes, limit);
    let ordinary = watch(writer.clone(), true);
    let reserve = (options.reserved_connections > 0).then(|| Reserve {
        reader: watch(lazy(options.reserved_connections), false),
        writer: watch(writer, true).beside(&ordinary),
    });
    Ok(Database {
        // Where some come first, the others stand in a line of their own.
        writer: if reserve.is_some() { ordinary.in_turn() } else { ordinary },
        reader: watch(reader, shares_one_pool),
        shares_one_pool,
        reserve,
    })
}

/// What may be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
    /// Read-only, and no other program writes. To read a database with a write-ahead log, SQLite needs to create files
    /// beside it; where it cannot, it has to be told that it can do without, which holds if there is no log: the program
    /// that closes the database last folds the log into it.
    Immutable,
}

/// Which files were opened. A file that was unlinked, moved or replaced keeps taking what is written to it, and a restart
/// finds another one, or none.
#[derive(Debug)]
pub(crate) struct DatabaseFiles {
    path: PathBuf,
    database: FileId,
    log: PathBuf,
    index: PathBuf,
    /// The write-ahead log and its index, once something was stored through the connection that writes.
    seen: Mutex<Option<[FileId; 2]>>,
    access: Access,
}

/// When files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before a connection is used, which may have to be opened.
    Before,
    /// After it was used, so that no other program has removed its log.
    Used,
    /// After something was stored through it.
    Stored,
}

/// Device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        Ok(Self(file.dev(), file.ino()))
    }
}

impl DatabaseFiles {
    fn of(path: &Path, access: Access) -> io::Result<Self> {
        // A link may come to lead elsewhere, and a restart follows it; SQLite has put its files beside what it led to.
        let found = fs::canonicalize(path)?;
        let (path, database) = (path.to_owned(), FileId::of(&found)?);
        let (log, index) = (beside(&found, "-wal"), beside(&found, "-shm"));
        Ok(Self { path, database, log, index, seen: Mutex::new(None), access })
    }

    /// Whether the path still leads to the database that is open.
    pub(super) fn check(&self) -> Result<(), DbErr> {
        if FileId::of(&self.path).ok() == Some(self.database) { Ok(()) } else { Err(elsewhere(&self.path)) }
    }

    /// Whether the log and its index are still those that were used: a restart reads from the log what the database does not
    /// have yet, and other programs find in the index what is in the log.
    pub(super) fn check_log(&self, moment: Moment) -> Result<(), DbErr> {
        if self.access != Access::ReadWrite {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() && moment == Moment::Before {
            return Ok(());
        }
        let beside = [&self.log, &self.index];
        let now = beside.map(|path| FileId::of(path).ok());
        match (now, *seen) {
            ([Some(log), Some(index)], None) => *seen = Some([log, index]),
            (_, None) if moment == Moment::Used => return Ok(()),
            _ => {}
        }
        let known = seen.map_or([None; 2], |ids| ids.map(Some));
        for ((path, now), known) in beside.into_iter().zip(now).zip(known) {
            if now.is_none() || now != known {
                return Err(elsewhere(path));
            }
        }
        Ok(())
    }

    /// Whether what is in the log can be saved by writing it into the database: no other program has begun a new log.
    pub(super) fn has_lost_its_log(&self) -> bool {
        FileId::of(&self.path).ok() == Some(self.database)
            && !self.log.exists()
            && self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The connection that writes was opened or is about to be closed, and no other may be open: then the log goes, and
    /// another one comes. One that is lost already is not forgotten.
    pub(super) fn forget_log(&self) {
        if self.check_log(Moment::Before).is_err() {
            return;
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn elsewhere(path: &Path) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(format!(
        "{} is no longer the file that was opened: it was removed, moved or replaced while it was in use; nothing is \
         stored until it is put back, or this program is started again",
        path.display()
    )))
}

/// Why the file cannot be written, if it is there and cannot.
fn cannot_be_written(path: &Path) -> Option<io::Error> {
    OpenOptions::new().write(true).open(path).err().filter(|error| {
        matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn has_log(path: &Path) -> bool {
    beside(path, "-wal").exists()
}

fn connect_options(path: &Path, access: Access, busy_timeout: Duration) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(access != Access::ReadWrite)
        .immutable(access == Access::Immutable)
        .create_if_missing(false)
        .busy_timeout(busy_timeout)
        // With a write-ahead log, FULL makes every commit durable before it is acknowledged; NORMAL would lose the
        // newest ones when the power fails.
        .synchronous(SqliteSynchronous::Full)
        // Statements carry addresses, and logs must not.
        .disable_statement_logging();
    // The mode is a property of the file, and asking for it writes.
    if access == Access::ReadWrite { options.journal_mode(SqliteJournalMode::Wal) } else { options }
}

/// Connections stay open: the last one to be closed would remove the log, and the next one make another.
fn pool_options(size: u32, options: &ConnectionOptions) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(options.acquire_timeout)
        // A connection to a file does not go stale.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// The one connection that writes.
fn writer_options(files: &Arc<DatabaseFiles>, options: &ConnectionOptions) -> SqlitePoolOptions {
    let files = Arc::clone(files);
    pool_options(1, options).after_connect(move |_, _| {
        files.forget_log();
        Box::pin(std::future::ready(Ok(())))
    })
}

/// Switching a new file to a write-ahead log needs it exclusively and does not wait for the lock by itself, so that
/// several first commands at the same time would fail.
async fn open_patiently(
    path: &Path,
    access: Access,
    files: &Arc<DatabaseFiles>,
    options: &ConnectionOptions,
) -> Result<SqlitePool, DbErr> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        let opened = writer_options(files, options)
            .connect_with(connect_options(path, access, options.acquire_timeout))
            .await
            .map_err(super::connection_error);
        match opened {
            Err(error) if meaning(&error) == Meaning::Busy && waited < options.acquire_timeout => {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            other => return other,
        }
    }
}

/// Makes the file, and folders above it that are not there, for its owner only. SQLite gives the files it puts beside
/// it the same mode.
fn create_private_file(path: &Path) -> io::Result<()> {
    if path.is_file() {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// A device, a pipe or a socket keeps nothing: SQLite would put a log beside the one, and wait for ever for the other.
fn refuse_what_is_no_file(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => Err(io::Error::other("is not a regular file")),
        _ => Ok(()),
    }
}
