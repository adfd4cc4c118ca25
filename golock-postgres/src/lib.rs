#![doc = include_str!("../README.md")]

mod answers;
mod builder;
mod error;
mod listener;
mod locked;
mod session;
mod statements;
mod store;
mod table;
mod tls;
mod tool;
mod url;

pub use builder::PostgresStoreBuilder;
pub use deadpool_postgres;
pub use store::PostgresStore;
#[doc(hidden)]
pub use tool::tool_session;

// What a service needs besides: it depends on this crate alone.
#[doc(no_inline)]
pub use golock_core::{
    self, Error, ErrorKind, FencingToken, Holder, InvalidInput, Label, Lock, LockInfo, LockName, LockOptions,
    LockStore, LockWatch, Locker, LockerBuilder, LostReason, MemoryStore, StoreError, StoreErrorKind,
};

/// A locker on the table `golock` of the server at `url`, `postgres://user:password@host:5432/database`: see
/// [`PostgresStoreBuilder::connect`].
///
/// # Errors
/// [`Error::Store`]: the server can't be reached, does not accept the password, allows no writes, ….
///
/// # Cancel safety
/// Dropping the future closes what was opened; the table may have been created.
pub async fn connect(url: &str) -> Result<Locker, Error> {
    Ok(Locker::new(PostgresStore::connect(url).await?))
}
