//! Setting up a store.

use std::time::Duration;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use tiberius::Config;

use crate::MssqlStore;
use crate::error::failure;
use crate::table;
use crate::url;

/// Sets up an [`MssqlStore`]: [`MssqlStore::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), golock_mssql::golock_core::StoreError> {
/// use golock_mssql::MssqlStore;
///
/// let store = MssqlStore::builder()
///     .schema("ops")
///     .table("locks")
///     .create_table(false)
///     .connect("mssql://app:password@db.example.com/app")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct MssqlStoreBuilder {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) create_table: bool,
    pub(crate) request_timeout: Duration,
    pub(crate) acquire_sessions: usize,
}

impl MssqlStoreBuilder {
    /// The table when nothing else is said.
    pub const DEFAULT_TABLE: &'static str = "golock";
    /// The schema of the table when nothing else is said.
    pub const DEFAULT_SCHEMA: &'static str = "dbo";
    /// How long a request may take when nothing else is said: 5 s.
    pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
    /// How many sessions acquires may use when nothing else is said.
    pub const DEFAULT_ACQUIRE_SESSIONS: usize = 4;

    pub(crate) fn new() -> Self {
        Self {
            schema: Self::DEFAULT_SCHEMA.to_owned(),
            table: Self::DEFAULT_TABLE.to_owned(),
            create_table: true,
            request_timeout: Self::DEFAULT_REQUEST_TIMEOUT,
            acquire_sessions: Self::DEFAULT_ACQUIRE_SESSIONS,
        }
    }

    /// The table, exactly as it is called (it is quoted): at most 128 characters. Default: `golock`. Stores over the
    /// same table share their locks, those over different ones share none.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// The schema of the table, exactly as it is called. Default: `dbo`, whatever the user's own default is: two
    /// services must mean the same table by the same name.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Whether the table (and its schema) is created when it is found missing. Default: yes. If no, an administrator runs what
    /// [`LockStore::schema`](golock_core::LockStore::schema) prints, and until then [`connect`](Self::connect) and all calls fail
    /// with [`StoreErrorKind::SchemaMissing`].
    pub fn create_table(mut self, create: bool) -> Self {
        self.create_table = create;
        self
    }

    /// How long a statement may take, and opening a connection may: 1 ms and more. Default: 5 s.
    ///
    /// SQL Server ends no statement for the time it takes; what it limits is the wait for a row that another
    /// transaction has locked (`LOCK_TIMEOUT`): a quarter of this in an acquire or release, a tenth in a renewal, so
    /// that those of other names don't wait behind it. Besides, golock closes the connection of a call that it gives
    /// up, and SQL Server rolls back what it still does for that.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How many sessions acquires (and an operator's calls) may use. Default: 4. Releases have as many of their own (and no
    /// fewer than two), and renewals two. All are opened only when they are needed.
    pub fn acquire_sessions(mut self, sessions: usize) -> Self {
        self.acquire_sessions = sessions;
        self
    }

    /// A store over connections of its own, opened by `config`. No connection is opened yet.
    ///
    /// Of `config`, `command_timeout` and `handshake_timeout` give way to [`request_timeout`](Self::request_timeout),
    /// and `readonly` to `false`.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the timeout or a name is none that can be.
    pub fn build(self, config: Config) -> Result<MssqlStore, StoreError> {
        let wrong = |why| Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
        if self.request_timeout < Duration::from_millis(1) {
            return wrong("the request timeout is less than a millisecond");
        }
        let Some(table) = table::named(&self.schema, &self.table) else {
            return wrong("a table's or schema's name has 1 to 128 characters, none of control");
        };
        Ok(MssqlStore::over(&config, &table, &self))
    }

    /// A store over connections of its own to the server at `url`. One session is opened, and the table created,
    /// before this returns.
    ///
    /// `url` is `mssql://user:password@host:1433/database`, percent-encoded, with these options:
    ///
    /// | option | |
    /// |---|---|
    /// | `encrypt` | `true` (the default), `false` (only the login is), `danger_plaintext` (nothing is) |
    /// | `trust_server_certificate` | `true`: whatever certificate the server shows; default `false` |
    /// | `trust_server_certificate_ca` | a file with the certificate of an authority to trust besides the system's |
    /// | `hostname_in_certificate` | whose certificate the server is to show; default: the host's |
    /// | `instance` | a named instance, found by SQL Server Browser if the URL has no port |
    /// | `multi_subnet_failover` | `true`: tries all addresses of the host at once |
    /// | `application_name` | what the server lists the sessions under; default `golock` |
    ///
    /// Or it is an ADO connection string, `server=tcp:host,1433;user=…;password=…;database=…`, with what
    /// [`Config::from_ado_string`] knows.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened; the table may have been created.
    pub async fn connect(self, url: &str) -> Result<MssqlStore, StoreError> {
        let store = self.connect_lazy(url)?;
        store.ready().await?;
        Ok(store)
    }

    /// As [`connect`](Self::connect), but opens nothing yet: the first call of a lock does. So a service can start while its
    /// database is down, and hears of it when it locks.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the URL, or something that was set, can't be right.
    pub fn connect_lazy(self, url: &str) -> Result<MssqlStore, StoreError> {
        self.build(url::parse(url)?)
    }
}

#[cfg(test)]
mod tests {
    use golock_core::{LockStore, StoreErrorKind};

    use crate::MssqlStore;

    #[tokio::test]
    async fn lazy_store_opens_nothing_before_its_first_call() {
        const NOBODY: &str = "mssql://user:secret@127.0.0.1:1/database";
        let builder = || MssqlStore::builder().schema("ops").table("locks");
        let store = builder().connect_lazy(NOBODY).unwrap();
        assert!(store.schema().contains("CREATE TABLE [ops].[locks]"), "{}", store.schema());
        assert!(store.ready().await.unwrap_err().is_transient());
        for wrong in [builder().connect_lazy("secret"), builder().table("").connect_lazy(NOBODY)] {
            assert_eq!(wrong.unwrap_err().kind(), StoreErrorKind::Configuration);
        }
    }
}
