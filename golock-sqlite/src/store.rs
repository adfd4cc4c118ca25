//! The store: each operation is one transaction, on a connection with a thread of its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use golock_core::backend::{Table, page_by_page};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, ListRequest, LockInfo, LockStore, Operation, ReleaseAnswer,
    ReleaseRequest, RenewAnswer, RenewRequest, StoreError,
};
use golock_core::{FencingToken, LockName, async_trait};

use crate::builder::SqliteStoreBuilder;
use crate::connection::Opener;
use crate::error::BACKEND;
use crate::lane::Lane;
use crate::statements::{Rows, Statements};

/// The most requests in one transaction.
const MAX_BATCH: usize = 500;

/// What survives a power cut, by the kind of call.
const DURABLE: &str = include_str!("sql/durable.sql");
const LASTING: &str = include_str!("sql/lasting.sql");

/// Locks in a table of a SQLite file, for the processes of one machine.
///
/// A [`Locker`](golock_core::Locker) is what locks; this is what it is built on. The crate's page says what is promised, and
/// what it costs.
pub struct SqliteStore {
    path: PathBuf,
    table: Table,
    statements: Arc<Statements>,
    request_timeout: Duration,
    /// Looks only, and so waits for nobody.
    looking: Lane,
    /// Acquires, and an operator's calls.
    acquiring: Lane,
    /// Renewals and releases.
    keeping: Lane,
}

impl SqliteStore {
    /// A store in the table `golock` of the file at `path`. Nothing is opened yet: see [`SqliteStoreBuilder::build`].
    ///
    /// ```
    /// use golock_sqlite::{LockOptions, Locker, SqliteStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), golock_sqlite::Error> {
    /// # let path = std::env::temp_dir().join(format!("golock-doc-{}.db", std::process::id()));
    /// let locker = Locker::new(SqliteStore::new(&path)?);
    /// let lock = locker.try_lock(LockOptions::new("nightly-report")).await?;
    /// lock.unlock().await?;
    /// # for end in ["", "-wal", "-shm"] {
    /// #     let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`](golock_core::StoreErrorKind::Configuration) if the path is none that can be.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder().build(path)
    }

    /// A store in the table `golock` of a file: see [`SqliteStoreBuilder::connect`].
    ///
    /// # Errors
    /// [`StoreError`], transient if others kept the file locked for too long.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened; the file and the table may have been created.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Sets up a store: table, timeout.
    pub fn builder() -> SqliteStoreBuilder {
        SqliteStoreBuilder::new()
    }

    /// Opens the file and creates the table, if that is not done yet: so that what is wrong is told at once. The first call
    /// of a lock does the same.
    ///
    /// # Errors
    /// [`StoreError`], transient if others kept the file locked for too long.
    ///
    /// # Cancel safety
    /// Dropping the future closes what it opened; the file and the table may have been created.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let nothing = ListRequest::new("", 0);
        self.looking.read(Operation::Connect, move |rows| rows.list(&nothing)).await.map(drop)
    }

    pub(crate) fn over(path: PathBuf, table: &Table, options: &SqliteStoreBuilder) -> Self {
        let statements = Arc::new(Statements::new(table));
        let lane = |name, settings| {
            let create = options.create_table.then(|| statements.schema.clone());
            let look = format!(
                "SELECT name, grant_id, released_grant, lock_by, token, locked_at, expires_at FROM {table} LIMIT 0"
            );
            let opener = Opener { path: path.clone(), create, look, settings };
            Lane::new(name, opener, Arc::clone(&statements), options.request_timeout)
        };
        Self {
            looking: lane("golock-look", LASTING),
            acquiring: lane("golock-acquire", DURABLE),
            keeping: lane("golock-keep", LASTING),
            table: table.clone(),
            request_timeout: options.request_timeout,
            statements,
            path,
        }
    }

    async fn fence(&self, operation: Operation, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let (name, at_once) = (name.clone(), operation == Operation::ForceUnlock);
        self.acquiring.write(operation, move |rows| rows.fence(&name, at_once)).await
    }
}

#[async_trait]
impl LockStore for SqliteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(BACKEND, MAX_BATCH, self.request_timeout, false, i64::MAX)
    }

    /// Looks first, which waits for nobody: only what may be won is written.
    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        let requests: Arc<[AcquireRequest]> = requests.into();
        let wanted = Arc::clone(&requests);
        let look = move |rows: &Rows<'_>| wanted.iter().map(|request| rows.refusal(request)).collect();
        let refusals: Vec<Option<AcquireAnswer>> = self.looking.read(Operation::Acquire, look).await?;
        if refusals.iter().all(Option::is_some) {
            return Ok(refusals.into_iter().flatten().collect());
        }
        let acquire = move |rows: &Rows<'_>| {
            let answer = |(request, refusal): (_, &Option<_>)| match refusal {
                Some(refusal) => Ok(AcquireAnswer::clone(refusal)),
                None => rows.acquire(request),
            };
            requests.iter().zip(&refusals).map(answer).collect()
        };
        self.acquiring.write(Operation::Acquire, acquire).await
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let requests = requests.to_vec();
        let renew = move |rows: &Rows<'_>| requests.iter().map(|request| rows.renew(request)).collect();
        self.keeping.write(Operation::Renew, renew).await
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        let requests = requests.to_vec();
        let release = move |rows: &Rows<'_>| requests.iter().map(|request| rows.release(request)).collect();
        self.keeping.write(Operation::Release, release).await
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        let name = name.clone();
        self.looking.read(Operation::Inspect, move |rows| rows.inspect(&name)).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let request = request.clone();
        self.looking.read(Operation::List, move |rows| rows.list(&request)).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::Revoke, name).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::ForceUnlock, name).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let page =
            |after: Vec<u8>| self.acquiring.write(Operation::Purge, move |rows| rows.purge(idle_for, &after));
        page_by_page(Vec::new(), page).await
    }

    fn schema(&self) -> String {
        self.statements.schema.clone()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}
