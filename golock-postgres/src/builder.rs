//! Setting up a store.

use std::time::Duration;

use deadpool_postgres::Pool;
use golock_core::backend::Table;
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::PostgresStore;
use crate::error::failure;
use crate::listener::Listener;
use crate::table;
use crate::url;

/// Sets up a [`PostgresStore`]: [`PostgresStore::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct PostgresStoreBuilder {
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
    pub(crate) create_table: bool,
    pub(crate) request_timeout: Duration,
    pub(crate) acquire_sessions: usize,
}

impl PostgresStoreBuilder {
    /// The table when nothing else is said.
    pub const DEFAULT_TABLE: &'static str = "golock";
    /// How long a statement may run when nothing else is said: 5 s.
    pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
    /// How many sessions acquires may use when nothing else is said.
    pub const DEFAULT_ACQUIRE_SESSIONS: usize = 4;

    pub(crate) fn new() -> Self {
        Self {
            schema: None,
            table: Self::DEFAULT_TABLE.to_owned(),
            create_table: true,
            request_timeout: Self::DEFAULT_REQUEST_TIMEOUT,
            acquire_sessions: Self::DEFAULT_ACQUIRE_SESSIONS,
        }
    }

    /// The table, exactly as it is called (it is quoted): at most 63 bytes, no control characters. Default: `golock`. Stores over the same
    /// table share their locks, those over different ones share none.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// The schema of the table, exactly as it is called. Default: wherever the connection's `search_path` finds the
    /// table, or else creates it.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Whether the table (and its schema) is created when it is found missing. Default: yes. If no, an administrator runs what
    /// [`LockStore::schema`](golock_core::LockStore::schema) prints, and until then [`connect`](Self::connect) and all calls fail
    /// with [`StoreErrorKind::SchemaMissing`].
    pub fn create_table(mut self, create: bool) -> Self {
        self.create_table = create;
        self
    }

    /// How long a statement may run, and opening a connection may take: 1 ms and more. Default: 5 s. It is the
    /// sessions' `statement_timeout`; a row that another transaction has locked is waited for up to a quarter of it
    /// (`lock_timeout`), and never longer than 1 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How many sessions acquires (and an operator's calls) may use. Default: 4. Renewals and releases have two of
    /// their own each. All are opened only when they are needed.
    pub fn acquire_sessions(mut self, sessions: usize) -> Self {
        self.acquire_sessions = sessions;
        self
    }

    /// A store over connections as `pool` opens them. No connection is opened yet.
    ///
    /// Nothing is taken from the pool: the store opens sessions of its own by the pool's manager, so hooks of the
    /// pool (`post_create` …) don't run on them.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if a name is none that PostgreSQL can have.
    pub fn build(self, pool: Pool) -> Result<PostgresStore, StoreError> {
        Ok(PostgresStore::over(&pool, &self.checked()?, &self))
    }

    /// A store over connections of its own to the server at `url`: `postgres://user:password@host:5432/database`,
    /// with the options of [`Config`](deadpool_postgres::tokio_postgres::Config), or a `key=value` string. One session is opened, and the
    /// table created, before this returns.
    ///
    /// Besides, `sslmode` may be `verify-ca` or `verify-full`, and libpq's `sslrootcert`, `sslcert` and `sslkey` name files of PEM: see
    /// [TLS](crate#tls). They are read once, before this connects.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened; the table may have been created.
    pub async fn connect(self, url: &str) -> Result<PostgresStore, StoreError> {
        let store = self.connect_lazy(url)?;
        store.ready().await?;
        Ok(store)
    }

    /// As [`connect`](Self::connect), but opens nothing yet: the first call of a lock does. So a service can start while its
    /// database is down, and hears of it when it locks.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the URL, or something that was set, can't be right; [`StoreErrorKind::Tls`] if it
    /// names a file of certificates or a key that can't be read, or asks for `sslmode=require` and this system trusts no certificate
    /// authority.
    pub fn connect_lazy(self, url: &str) -> Result<PostgresStore, StoreError> {
        let (table, server) = (self.checked()?, url::parse(url, self.request_timeout)?);
        let (pool, tls) = url::pool(&server)?;
        let listener = Listener::new(server, tls, table.clone(), self.request_timeout);
        Ok(PostgresStore::over(&pool, &table, &self).woken_by(listener))
    }

    /// The table, if all was set to something that can be.
    fn checked(&self) -> Result<Table, StoreError> {
        let wrong = |why| Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
        if self.request_timeout < Duration::from_millis(1) {
            return wrong("the request timeout is less than a millisecond");
        }
        match table::named(self.schema.as_deref(), &self.table) {
            Some(table) => Ok(table),
            None => wrong("a table's or schema's name has 1 to 63 bytes, and no control characters"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use deadpool_postgres::{Manager, Pool};
    use golock_core::{LockStore, StoreErrorKind};
    use tokio_postgres::NoTls;

    use crate::PostgresStore;

    #[test]
    fn what_cannot_be_is_refused_before_any_connection() {
        let pool = || Pool::builder(Manager::new("host=localhost".parse().unwrap(), NoTls)).build().unwrap();
        let builder = PostgresStore::builder;
        for wrong in [
            builder().table(""),
            builder().table("x".repeat(64)),
            builder().schema("a\0b"),
            builder().request_timeout(Duration::ZERO),
        ] {
            assert_eq!(wrong.build(pool()).unwrap_err().kind(), StoreErrorKind::Configuration);
        }
        assert!(builder().table("x".repeat(63)).build(pool()).is_ok());
    }

    #[tokio::test]
    async fn lazy_store_opens_nothing_before_its_first_call() {
        const NOBODY: &str = "postgres://user:secret@127.0.0.1:1/database";
        let builder = || PostgresStore::builder().schema("ops").table("locks");
        let store = builder().connect_lazy(NOBODY).unwrap();
        assert!(
            store.schema().contains("CREATE TABLE IF NOT EXISTS \"ops\".\"locks\""),
            "{}",
            store.schema()
        );
        assert!(store.capabilities().wakeups, "it will listen");
        assert!(store.ready().await.unwrap_err().is_transient());
        for wrong in [builder().connect_lazy("secret"), builder().table("").connect_lazy(NOBODY)] {
            assert_eq!(wrong.unwrap_err().kind(), StoreErrorKind::Configuration);
        }
        let unreadable = builder().connect_lazy(&format!("{NOBODY}?sslrootcert=/no/such/ca.pem"));
        assert_eq!(unreadable.unwrap_err().kind(), StoreErrorKind::Tls);
    }
}
