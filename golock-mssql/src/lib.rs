#![doc = include_str!("../README.md")]

mod answers;
mod builder;
mod error;
mod key;
mod session;
mod statements;
mod store;
mod table;
mod tool;
mod url;

pub use builder::MssqlStoreBuilder;
pub use store::MssqlStore;
pub use tiberius;
#[doc(hidden)]
pub use tool::ToolSessions;

// What a service needs besides: it depends on this crate alone.
#[doc(no_inline)]
pub use golock_core::{
    self, Error, ErrorKind, FencingToken, Holder, InvalidInput, Label, Lock, LockInfo, LockName, LockOptions,
    LockStore, LockWatch, Locker, LockerBuilder, LostReason, MemoryStore, StoreError, StoreErrorKind,
};

/// A locker on the table `dbo.golock` of the server at `url`, `mssql://user:password@host:1433/database`: see
/// [`MssqlStoreBuilder::connect`] for what else may stand there.
///
/// ```no_run
/// # async fn example() -> Result<(), golock_mssql::Error> {
/// use golock_mssql::LockOptions;
///
/// let locker = golock_mssql::connect("mssql://app:password@db.example.com/app").await?;
/// let lock = locker.try_lock(LockOptions::new("nightly-report")).await?;
/// lock.unlock().await
/// # }
/// ```
///
/// # Errors
/// [`Error::Store`]: the server can't be reached, does not accept the password, allows no writes, ….
///
/// # Cancel safety
/// Dropping the future closes what was opened; the table may have been created.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn connect(url: &str) -> Result<Locker, Error> {
    Ok(Locker::new(MssqlStore::connect(url).await?))
}
