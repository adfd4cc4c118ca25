//! What a store's author gives the suite: a way to open a store, and whatever else the server allows.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use golock_core::{FencingToken, LockName, LockStore};

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Something that lasts until it is dropped.
pub type Guard = Box<dyn Any + Send>;

/// Opens clients of one server for the cases, and says what else can be done to that server.
///
/// [`name`](Self::name), [`store`](Self::store) and [`Abilities::none`] are enough to begin with; every case
/// that needs more is then shown as ignored, with the reason.
#[async_trait]
pub trait Fixture: Send + Sync + 'static {
    /// What results are shown under: `postgres`.
    fn name(&self) -> &str;

    /// A fresh client of the server, with connections of its own, over the table (collection, key prefix …)
    /// called `space`: lower-case letters, digits and `_`, at most 40. It is created if need be. Stores over the
    /// same space share their locks, those over different ones share none.
    ///
    /// # Errors
    /// Whatever went wrong; the case fails with it.
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError>;

    /// What else can be done: [`Abilities::none`] to begin with.
    fn abilities(&self) -> Abilities<'_>;
}

/// What a fixture can do, or why not: the reason that its cases are ignored with.
pub type Ability<T> = Result<T, &'static str>;

/// What a fixture can do besides opening stores.
///
/// Each is asked for: a fixture that spells them out doesn't compile when one is added. What can't be done is
/// an `Err` with the reason.
#[allow(missing_debug_implementations, reason = "it holds references to whatever the fixture is")]
pub struct Abilities<'a> {
    /// Delete rows, empty spaces, set tokens.
    pub damage: Ability<&'a dyn Damage>,
    /// Lock the row of a name by a transaction that stays open.
    pub row_lock: Ability<&'a dyn RowLock>,
    /// Kill the server and start it again.
    pub restart: Ability<&'a dyn Restart>,
    /// Stop the server, and let it go on.
    pub pause: Ability<&'a dyn Pause>,
    /// End every connection at the server, and count them.
    pub connections: Ability<&'a dyn Connections>,
    /// Connect through the suite's proxy.
    pub through: Ability<&'a dyn Through>,
    /// Connect with a pool of one connection, and take that one away.
    pub small_pool: Ability<&'a dyn SmallPool>,
    /// Open sessions whose settings differ from the defaults.
    pub sessions: Ability<&'a dyn Sessions>,
    /// Connect with a wrong password.
    pub wrong_password: Ability<&'a dyn Misconfigured>,
    /// Use a schema that is not there.
    pub schema_missing: Ability<&'a dyn Misconfigured>,
    /// Connect as a user who may log in but not use the table.
    pub no_permission: Ability<&'a dyn Misconfigured>,
    /// Ask for TLS of a server that has none.
    pub tls_refused: Ability<&'a dyn Misconfigured>,
    /// Set the server's clock.
    pub clock: Ability<&'a dyn Clock>,
    /// The clock by which leases end is the server's own: no process of a client has it wrong.
    pub own_clock: Ability<()>,
    /// Open the same server from another process, which is then killed or stopped.
    pub processes: Ability<&'a dyn Processes>,
    /// `purge` deletes, and counts what it deletes. Not so where the server forgets old names by itself.
    pub purge_counts: Ability<()>,
}

impl Abilities<'_> {
    /// None of them, for this reason.
    pub fn none(reason: &'static str) -> Self {
        Self {
            damage: Err(reason),
            row_lock: Err(reason),
            restart: Err(reason),
            pause: Err(reason),
            connections: Err(reason),
            through: Err(reason),
            small_pool: Err(reason),
            sessions: Err(reason),
            wrong_password: Err(reason),
            schema_missing: Err(reason),
            no_permission: Err(reason),
            tls_refused: Err(reason),
            clock: Err(reason),
            own_clock: Err(reason),
            processes: Err(reason),
            purge_counts: Err(reason),
        }
    }
}

/// Damages data behind the store's back, as somebody with an administrator's prompt would.
#[async_trait]
pub trait Damage: Send + Sync {
    /// Deletes the row of `name`.
    ///
    /// # Errors
    /// The server's.
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError>;

    /// Deletes all rows at once: TRUNCATE, FLUSHALL (of this space only, if the server can).
    ///
    /// # Errors
    /// The server's.
    async fn delete_all(&self, space: &str) -> Result<(), BoxError>;

    /// Sets the token in the row of `name`, which is there.
    ///
    /// # Errors
    /// The server's.
    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError>;

    /// Removes the space: its case has ended.
    ///
    /// # Errors
    /// The server's.
    async fn drop_space(&self, space: &str) -> Result<(), BoxError>;
}

/// Locks one row.
#[async_trait]
pub trait RowLock: Send + Sync {
    /// Locks the row of `name` by a transaction of another session, until the guard is dropped.
    ///
    /// # Errors
    /// The server's.
    async fn lock_row(&self, space: &str, name: &LockName) -> Result<Guard, BoxError>;
}

/// Crashes the server.
#[async_trait]
pub trait Restart: Send + Sync {
    /// Kills the server as SIGKILL does, starts it again over the same data and under the same address, and
    /// returns when it answers.
    ///
    /// # Errors
    /// What went wrong.
    async fn restart(&self) -> Result<(), BoxError>;
}

/// Stops the server for a while.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Stops the server as SIGSTOP does: connections stay, and new ones may still succeed, but nothing is answered.
    ///
    /// # Errors
    /// What went wrong.
    async fn pause(&self) -> Result<(), BoxError>;

    /// Lets it go on.
    ///
    /// # Errors
    /// What went wrong.
    async fn unpause(&self) -> Result<(), BoxError>;
}

/// Sets the server's clock.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Sets the server's time of day so many seconds ahead of this machine's, or behind it if they are negative, as an administrator
    /// would: at once for all of its processes, for good, and without a word to anybody. What measures time by monotonic clocks goes on.
    ///
    /// # Errors
    /// What went wrong.
    async fn set_clock(&self, seconds_ahead: i64) -> Result<(), BoxError>;
}

/// Opens the same server from another process.
pub trait Processes: Send + Sync {
    /// The variables by which another process of the same program opens this very server as its target: a URL.
    fn environment(&self) -> Vec<(String, String)>;
}

/// Sees the server's connections.
#[async_trait]
pub trait Connections: Send + Sync {
    /// Ends every client's connection at the server, except the one that does it.
    ///
    /// # Errors
    /// The server's.
    async fn kill_connections(&self) -> Result<(), BoxError>;

    /// How many connections of clients the server has, without the one that asks.
    ///
    /// # Errors
    /// The server's.
    async fn count_connections(&self) -> Result<usize, BoxError>;
}

/// Connects through an address that is not the server's own.
#[async_trait]
pub trait Through: Send + Sync {
    /// The server's own address, `host:port`.
    fn address(&self) -> String;

    /// As [`Fixture::store`], but all of its connections go to `address`.
    ///
    /// # Errors
    /// What went wrong.
    async fn store_through(&self, space: &str, address: SocketAddr) -> Result<Arc<dyn LockStore>, BoxError>;
}

/// Opens stores over a pool of one connection.
#[async_trait]
pub trait SmallPool: Send + Sync {
    /// As [`Fixture::store`], but the application's pool, which acquires may use, has one connection in all.
    ///
    /// # Errors
    /// What went wrong.
    async fn pool_of_one(&self, space: &str) -> Result<PoolOfOne, BoxError>;
}

/// A store over a pool of one connection.
#[allow(missing_debug_implementations, reason = "the pool is whatever the backend has")]
pub struct PoolOfOne {
    /// The store.
    pub store: Arc<dyn LockStore>,
    /// Takes the pool's connection, as the application would, and keeps it until dropped.
    pub application: Box<dyn Application>,
}

/// The application that shares its pool with the store.
#[async_trait]
pub trait Application: Send + Sync {
    /// Takes a connection from the pool, until the guard is dropped.
    ///
    /// # Errors
    /// What went wrong.
    async fn take_connection(&self) -> Result<Guard, BoxError>;
}

/// Opens stores whose sessions have unusual settings.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// The settings worth trying, as messages name them: `autocommit=0`, `default_transaction_read_only=on`.
    fn settings(&self) -> Vec<&'static str>;

    /// As [`Fixture::store`], but every session starts with this setting.
    ///
    /// # Errors
    /// What went wrong; a [`StoreError`](golock_core::StoreError) if the backend refuses such a session.
    async fn store_with(&self, space: &str, setting: &'static str) -> Result<Arc<dyn LockStore>, BoxError>;
}

/// Opens stores that can't work.
#[async_trait]
pub trait Misconfigured: Send + Sync {
    /// A store with this fault. It may fail here, with a [`StoreError`](golock_core::StoreError), or at its
    /// first use.
    ///
    /// # Errors
    /// The backend's.
    async fn misconfigured(&self, fault: Fault) -> Result<Arc<dyn LockStore>, BoxError>;

    /// The passwords in use, right and wrong: none may show in any message.
    fn secrets(&self) -> Vec<String>;
}

/// What is wrong with a store of [`Misconfigured`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The password is not the user's.
    WrongPassword,
    /// The table, collection or schema is not there, and is not created.
    SchemaMissing,
    /// The user may log in, but not use the table.
    NoPermission,
    /// The client insists on TLS, the server has none.
    TlsRefused,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongPassword => "a wrong password",
            Self::SchemaMissing => "a missing schema",
            Self::NoPermission => "no permission",
            Self::TlsRefused => "TLS that the server refuses",
        })
    }
}
