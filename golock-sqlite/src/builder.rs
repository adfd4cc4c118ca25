//! Setting up a store.

use std::path::Path;
use std::time::Duration;

use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::SqliteStore;
use crate::error::failure;
use crate::table;
use crate::url;

/// Sets up a [`SqliteStore`]: [`SqliteStore::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct SqliteStoreBuilder {
    pub(crate) table: String,
    pub(crate) create_table: bool,
    pub(crate) request_timeout: Duration,
}

impl SqliteStoreBuilder {
    /// The table when nothing else is said.
    pub const DEFAULT_TABLE: &'static str = "golock";
    /// How long a call may take when nothing else is said: 5 s.
    pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

    pub(crate) fn new() -> Self {
        Self {
            table: Self::DEFAULT_TABLE.to_owned(),
            create_table: true,
            request_timeout: Self::DEFAULT_REQUEST_TIMEOUT,
        }
    }

    /// The table (it is quoted): at most 255 bytes, no control characters; SQLite takes `A` and `a` for the same. Default:
    /// `golock`. Stores over the same table of the same file share their locks, others share none.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// Whether the file and the table are created at the first use if they are not there. Default: yes. If no, somebody
    /// runs what [`LockStore::schema`](golock_core::LockStore::schema) prints. The directory is never created.
    pub fn create_table(mut self, create: bool) -> Self {
        self.create_table = create;
        self
    }

    /// How long a call may take: 1 ms to an hour. Default: 5 s. Half of it is spent at most on waiting for the file's write
    /// lock; a statement that runs for longer is interrupted. A disk that does not answer can't be.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// A store in the file at `path`. Nothing is opened yet. A relative path counts from the directory that is the current
    /// one now.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the path, the table's name or the timeout is none that can be.
    pub fn build(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let wrong = |why: &str| Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
        let path = path.as_ref();
        if !(Duration::from_millis(1)..=Duration::from_secs(60 * 60)).contains(&self.request_timeout) {
            return wrong("the request timeout is 1 ms to an hour");
        }
        if path == Path::new(":memory:") {
            return wrong(
                "locks in memory exclude nobody else: name a file, or use golock_core::MemoryStore",
            );
        }
        let Some(table) = table::named(&self.table) else {
            return wrong(
                "a table's name has 1 to 255 bytes, no control characters, and does not begin with sqlite_",
            );
        };
        // Absolute, so that neither a later change of directory nor a name such as `file:…` leads elsewhere.
        match std::path::absolute(path) {
            Ok(path) => Ok(SqliteStore::over(path, &table, &self)),
            Err(error) => Err(failure(Operation::Connect, StoreErrorKind::Configuration, error)),
        }
    }

    /// A store in a file: `sqlite:///var/lib/app/locks.db`, `sqlite://locks.db` (relative, what is special in URLs written
    /// as `%3F`), or a plain path. The file is opened, and the table created, before this returns.
    ///
    /// # Errors
    /// [`StoreError`], transient if others kept the file locked for too long.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened; the file and the table may have been created.
    pub async fn connect(self, url: &str) -> Result<SqliteStore, StoreError> {
        let store = self.connect_lazy(url)?;
        store.ready().await?;
        Ok(store)
    }

    /// As [`connect`](Self::connect), but opens nothing yet: the first call of a lock does.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the URL, or something that was set, can't be right.
    pub fn connect_lazy(self, url: &str) -> Result<SqliteStore, StoreError> {
        self.build(url::parse(url)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use golock_core::{LockStore, StoreErrorKind};

    use crate::SqliteStore;

    #[test]
    fn what_cannot_be_is_refused_before_any_file_is_opened() {
        let builder = SqliteStore::builder;
        for (wrong, path) in [
            (builder().table(""), "locks.db"),
            (builder().table("x".repeat(256)), "locks.db"),
            (builder().table("a\0b"), "locks.db"),
            (builder().table("SQLite_own"), "locks.db"),
            (builder().request_timeout(Duration::ZERO), "locks.db"),
            (builder().request_timeout(Duration::MAX), "locks.db"),
            (builder(), ":memory:"),
            (builder(), ""),
        ] {
            assert_eq!(wrong.build(path).unwrap_err().kind(), StoreErrorKind::Configuration);
        }
        assert!(builder().table("x".repeat(255)).build("locks.db").is_ok());
    }

    #[tokio::test]
    async fn lazy_store_opens_nothing_before_its_first_call() {
        // No such directory: whoever opened anything would know.
        const NOWHERE: &str = "sqlite:///dev/null/locks.db";
        let builder = || SqliteStore::builder().table("ops");
        let store = builder().connect_lazy(NOWHERE).unwrap();
        assert!(store.schema().contains("CREATE TABLE IF NOT EXISTS \"ops\""), "{}", store.schema());
        assert!(store.ready().await.is_err());
        for wrong in [builder().connect_lazy("redis://host"), builder().table("").connect_lazy(NOWHERE)] {
            assert_eq!(wrong.unwrap_err().kind(), StoreErrorKind::Configuration);
        }
    }
}
