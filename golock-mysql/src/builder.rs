//! Setting up a store.

use std::time::Duration;

use golock_core::backend::connected_within;
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mysql_async::{Opts, Pool};

use crate::MysqlStore;
use crate::error::{BACKEND, failed, failure};
use crate::table;
use crate::url;

/// Sets up a [`MysqlStore`]: [`MysqlStore::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct MysqlStoreBuilder {
    pub(crate) database: Option<String>,
    pub(crate) table: String,
    pub(crate) create_table: bool,
    pub(crate) request_timeout: Duration,
    pub(crate) acquire_sessions: usize,
}

impl MysqlStoreBuilder {
    /// The table when nothing else is said.
    pub const DEFAULT_TABLE: &'static str = "golock";
    /// How long a statement may take when nothing else is said: 5 s.
    pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
    /// The shortest time that a statement can be given: 2 s, for the servers count the waits for locks in whole seconds.
    pub const MIN_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
    /// How many sessions acquires may use when nothing else is said.
    pub const DEFAULT_ACQUIRE_SESSIONS: usize = 4;

    pub(crate) fn new() -> Self {
        Self {
            database: None,
            table: Self::DEFAULT_TABLE.to_owned(),
            create_table: true,
            request_timeout: Self::DEFAULT_REQUEST_TIMEOUT,
            acquire_sessions: Self::DEFAULT_ACQUIRE_SESSIONS,
        }
    }

    /// The table, exactly as it is called (it is quoted): at most 64 characters. Default: `golock`. Stores over the same
    /// table share their locks, those over different ones share none.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// The database of the table, exactly as it is called. It is not created. Default: the one that the URL or the options
    /// name.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// Whether the table is created when it is found missing. Default: yes. If no, an administrator runs what
    /// [`LockStore::schema`](golock_core::LockStore::schema) prints, and until then [`connect`](Self::connect) and all calls fail
    /// with [`StoreErrorKind::SchemaMissing`].
    pub fn create_table(mut self, create: bool) -> Self {
        self.create_table = create;
        self
    }

    /// How long a statement may take, and opening a connection: 2 s (less is taken for that) and more. Default: 5 s.
    ///
    /// MariaDB ends every statement after this time (`max_statement_time`). MySQL has no such limit for statements that
    /// write; what can hold one of golock's up there is a lock, on the table (`lock_wait_timeout`) or on the row
    /// (`innodb_lock_wait_timeout`), and either is waited for up to half of this time, in whole seconds; by renewals and
    /// releases up to 1 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout.max(Self::MIN_REQUEST_TIMEOUT);
        self
    }

    /// How many sessions acquires (and an operator's calls) may use. Default: 4. Releases have as many of their own (and
    /// no fewer than two), and renewals two. All are opened only when they are needed.
    pub fn acquire_sessions(mut self, sessions: usize) -> Self {
        self.acquire_sessions = sessions;
        self
    }

    /// A store over connections of its own, opened as these options say. No connection is opened yet.
    ///
    /// [`Opts`] are what a [`Pool`] is made of: clone them before. Everything in them counts, also `init` and `setup` (which
    /// run before golock's own settings, so they can't undo those), except for the limits of the pool and `prefer_socket`:
    /// a Unix socket is used only if `socket` names it.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if no database is named, or a name is none that MySQL can have.
    pub fn build(self, opts: impl Into<Opts>) -> Result<MysqlStore, StoreError> {
        let opts = opts.into();
        let wrong = |why| Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
        if self.database.is_none() && opts.db_name().is_none_or(str::is_empty) {
            return wrong("no database is named: mysql://user:password@host:3306/database");
        }
        match table::named(self.database.as_deref(), &self.table) {
            Some(table) => Ok(MysqlStore::over(&opts, &table, &self)),
            None => {
                wrong("the name of a table or database has 1 to 64 characters, and no control characters")
            }
        }
    }

    /// A store over connections of its own, opened with the options of `pool`. One connection is borrowed from the pool for
    /// a moment, as the pool shows its options only on its connections.
    ///
    /// # Errors
    /// [`StoreError`], transient if the pool had no connection in time.
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection back.
    pub async fn build_like(self, pool: &Pool) -> Result<MysqlStore, StoreError> {
        let borrowed = async { pool.get_conn().await.map_err(|error| failed(Operation::Connect, error)) };
        let why = "the pool had no connection within the request timeout";
        let connection = connected_within(self.request_timeout, BACKEND, why, borrowed).await?;
        self.build(connection.opts().clone())
    }

    /// A store over connections of its own to the server at `url`, `mysql://user:password@host:3306/database` (of MariaDB
    /// too), with the parameters of [`Opts`]. One session is opened, and the table created, before this returns.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened; the table may have been created.
    pub async fn connect(self, url: &str) -> Result<MysqlStore, StoreError> {
        let store = self.connect_lazy(url)?;
        store.ready().await?;
        Ok(store)
    }

    /// As [`connect`](Self::connect), but opens nothing yet: the first call of a lock does. So a service can start while its
    /// database is down, and hears of it when it locks.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the URL, or something that was set, can't be right.
    pub fn connect_lazy(self, url: &str) -> Result<MysqlStore, StoreError> {
        self.build(url::parse(url)?)
    }
}

#[cfg(test)]
mod tests {
    use golock_core::{LockStore, StoreErrorKind};

    use crate::MysqlStore;

    #[tokio::test]
    async fn lazy_store_opens_nothing_before_its_first_call() {
        const NOBODY: &str = "mysql://user:secret@127.0.0.1:1/database";
        let builder = || MysqlStore::builder().database("ops").table("locks");
        let store = builder().connect_lazy(NOBODY).unwrap();
        assert!(store.schema().contains("CREATE TABLE IF NOT EXISTS `ops`.`locks`"), "{}", store.schema());
        assert!(store.ready().await.unwrap_err().is_transient());
        for wrong in [builder().connect_lazy("secret"), builder().table("").connect_lazy(NOBODY)] {
            assert_eq!(wrong.unwrap_err().kind(), StoreErrorKind::Configuration);
        }
    }
}
