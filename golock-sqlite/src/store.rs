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
use crate::connection::{Opener, written};
use crate::error::BACKEND;
use crate::lane::Lane;
use crate::statements::Statements;

/// The most requests in one transaction.
const MAX_BATCH: usize = 500;

/// How many names a purge looks at in one transaction.
const PURGE_PAGE: i64 = 1_000;

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
        self.looked(Operation::Connect, ListRequest::new("", 0)).await.map(drop)
    }

    pub(crate) fn over(path: PathBuf, table: &Table, options: &SqliteStoreBuilder) -> Self {
        let statements = Statements::new(table);
        let lane = |name, settings| {
            let create = options.create_table.then(|| statements.schema.clone());
            let opener = Opener { path: path.clone(), create, settings };
            Lane::new(name, Arc::new(opener), options.request_timeout)
        };
        Self {
            looking: lane("golock-look", LASTING),
            acquiring: lane("golock-acquire", DURABLE),
            keeping: lane("golock-keep", LASTING),
            table: table.clone(),
            request_timeout: options.request_timeout,
            statements: Arc::new(statements),
            path,
        }
    }

    async fn looked(&self, operation: Operation, request: ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let statements = Arc::clone(&self.statements);
        self.looking.call(operation, move |connection| statements.list(connection, &request)).await
    }

    async fn fence(&self, operation: Operation, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let (statements, name) = (Arc::clone(&self.statements), name.clone());
        let at_once = operation == Operation::ForceUnlock;
        let fence = move |connection: &mut _| written(connection, |it| statements.fence(it, &name, at_once));
        self.acquiring.call(operation, fence).await
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
        let (statements, wanted) = (Arc::clone(&self.statements), Arc::clone(&requests));
        let look = move |connection: &mut _| {
            wanted.iter().map(|request| statements.refusal(connection, request)).collect()
        };
        let refusals: Vec<Option<AcquireAnswer>> = self.looking.call(Operation::Acquire, look).await?;
        if refusals.iter().all(Option::is_some) {
            return Ok(refusals.into_iter().flatten().collect());
        }
        let statements = Arc::clone(&self.statements);
        let acquire = move |connection: &mut _| {
            written(connection, |it| {
                let answer = |(request, refusal): (_, &Option<_>)| match refusal {
                    Some(refusal) => Ok(AcquireAnswer::clone(refusal)),
                    None => statements.acquire(it, request),
                };
                requests.iter().zip(&refusals).map(answer).collect()
            })
        };
        self.acquiring.call(Operation::Acquire, acquire).await
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let (statements, requests) = (Arc::clone(&self.statements), requests.to_vec());
        let renew = move |connection: &mut _| {
            written(connection, |it| requests.iter().map(|request| statements.renew(it, request)).collect())
        };
        self.keeping.call(Operation::Renew, renew).await
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        let (statements, requests) = (Arc::clone(&self.statements), requests.to_vec());
        let release = move |connection: &mut _| {
            written(connection, |it| requests.iter().map(|request| statements.release(it, request)).collect())
        };
        self.keeping.call(Operation::Release, release).await
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        let (statements, name) = (Arc::clone(&self.statements), name.clone());
        let look = move |connection: &mut _| statements.inspect(connection, &name);
        self.looking.call(Operation::Inspect, look).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        self.looked(Operation::List, request.clone()).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::Revoke, name).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::ForceUnlock, name).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let page = |after: Vec<u8>| {
            let statements = Arc::clone(&self.statements);
            self.acquiring.call(Operation::Purge, move |connection: &mut _| {
                written(connection, |it| statements.purge(it, idle_for, &after, PURGE_PAGE))
            })
        };
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
