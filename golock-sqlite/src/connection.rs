//! The file, opened and set up as golock needs it, and found again if somebody has put another in its place.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::{failed, failure, is_busy, is_harmless, is_table_missing, not_opened};
use crate::limits;

/// How often a statement that runs is asked whether it has run for too long: after so many steps of SQLite's machine.
const STEPS: i32 = 1_000;

/// How one lane's connection is opened.
pub(crate) struct Opener {
    pub(crate) path: PathBuf,
    /// Creates the table; none if that is not to be done.
    pub(crate) create: Option<String>,
    /// Fails if the table is not there.
    pub(crate) look: String,
    /// What the connection is told before its first use.
    pub(crate) settings: &'static str,
}

/// The connection of one lane, opened when it is needed.
pub(crate) struct Session {
    opener: Arc<Opener>,
    open: Option<Open>,
}

impl Session {
    pub(crate) fn new(opener: Arc<Opener>) -> Self {
        Self { opener, open: None }
    }

    /// What `work` made of the connection; if the table is not there, it is created, and `work` called again.
    pub(crate) fn run<T>(
        &mut self,
        operation: Operation,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut open = match self.open.take().filter(Open::is_where_it_was) {
            Some(open) => open,
            None => self.opener.open()?,
        };
        let outcome = match (work(&mut open.connection), &self.opener.create) {
            (Err(error), Some(create)) if is_table_missing(&error) => {
                // By as many processes at once as may start: `IF NOT EXISTS` is looked at under the write lock.
                written(&mut open.connection, |it| it.execute_batch(create))
                    .map_err(|error| failed(Operation::CreateSchema, error))?;
                work(&mut open.connection)
            }
            (outcome, _) => outcome,
        };
        // One that failed in some other way is closed.
        if outcome.as_ref().err().is_none_or(is_harmless) && open.connection.is_autocommit() {
            self.open = Some(open);
        }
        outcome.map_err(|error| failed(operation, error))
    }
}

impl Opener {
    fn open(&self) -> Result<Open, StoreError> {
        // Each connection stays on one thread: SQLite need not guard it.
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, self.create.is_some());
        let mut before = FileId::of(&self.path);
        loop {
            let connection = Connection::open_with_flags(&self.path, flags)
                .map_err(|error| not_opened(&self.path, self.create.is_some(), error))?;
            let id = FileId::of(&self.path);
            // Another file was put there meanwhile: nobody knows which of them is open.
            if before.is_some() && before != id {
                before = id;
                continue;
            }
            let open = Open { id, path: self.path.clone(), connection };
            self.set_up(&open.connection)?;
            return Ok(open);
        }
    }

    fn set_up(&self, connection: &Connection) -> Result<(), StoreError> {
        if has_another_name(&self.path) {
            let path = self.path.display();
            let why = format!("{path} has another name, a hard link: by each SQLite would have other locks");
            return Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
        }
        let not_set_up = |error| not_opened(&self.path, self.create.is_some(), error);
        connection.busy_handler(Some(limits::wait_a_moment)).map_err(not_set_up)?;
        connection.progress_handler(STEPS, Some(limits::are_over)).map_err(not_set_up)?;
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        connection
            .create_scalar_function("golock_now", 0, flags, |_| Ok(micros_since_1970()))
            .map_err(not_set_up)?;
        if connection.is_readonly("main").map_err(not_set_up)? {
            let why = format!("this user may not write to {}", self.path.display());
            return Err(failure(Operation::Connect, StoreErrorKind::Permission, why));
        }
        if self.create.is_none() {
            // Before anything is changed for good: a file without our table is not ours.
            connection.prepare(&self.look).map_err(not_set_up)?;
        }
        write_ahead(connection).map_err(not_set_up)?.ok_or_else(|| {
            let why =
                "journal_mode = WAL is refused: this file system has no shared memory between processes";
            failure(Operation::Connect, StoreErrorKind::Configuration, why)
        })?;
        connection.execute_batch(self.settings).map_err(not_set_up)
    }
}

/// An open connection, and which file it has open.
struct Open {
    connection: Connection,
    path: PathBuf,
    id: Option<FileId>,
}

impl Open {
    /// Somebody may have deleted the file, or put another in its place: what is written to the old one excludes nobody
    /// who opens it now.
    fn is_where_it_was(&self) -> bool {
        self.id == FileId::of(&self.path)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_where_it_was() {
            // The last to close a file deletes its log by name: here that would be the log of the new file.
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// Which file it is, whatever it is called.
#[derive(PartialEq)]
struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok()?;
        Some(Self(file.dev(), file.ino()))
    }

    /// A file that is open can't be deleted there.
    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<Self> {
        None
    }
}

/// SQLite finds what stands beside the file by the file's name: who opens it by another has a log and locks of its own.
#[cfg(unix)]
fn has_another_name(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|file| file.nlink() > 1)
}

#[cfg(not(unix))]
fn has_another_name(_: &Path) -> bool {
    false
}

/// Puts the file into write-ahead mode, in which it then stays; `None`: it can't be.
fn write_ahead(connection: &Connection) -> rusqlite::Result<Option<()>> {
    let mut tries = 0..;
    loop {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) => return Ok(mode.eq_ignore_ascii_case("wal").then_some(())),
            // Whoever switches needs the file alone, and SQLite does not wait for that where two might wait for each
            // other.
            Err(error) if is_busy(&error) && tries.next().is_some_and(limits::wait_a_moment) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What `work` wrote, in a transaction that has the file's write lock from its beginning, and is rolled back if `work` fails.
pub(crate) fn written<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcome = work(&transaction)?;
    transaction.commit().map(|()| outcome)
}

/// The store's clock: this machine's.
#[allow(clippy::disallowed_methods, reason = "there is no server: this is its clock")]
fn micros_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
