#![doc = include_str!("../README.md")]

mod answers;
mod builder;
mod error;
mod session;
mod statements;
mod store;
mod table;
mod text;
mod url;

pub use builder::MysqlStoreBuilder;
pub use mysql_async;
#[doc(hidden)]
pub use session::own as tool_options;
pub use store::MysqlStore;

// What a service needs besides: it depends on this crate alone.
#[doc(no_inline)]
pub use golock_core::{
    self, Error, ErrorKind, FencingToken, Holder, InvalidInput, Label, Lock, LockInfo, LockName, LockOptions,
    LockStore, LockWatch, Locker, LockerBuilder, LostReason, MemoryStore, StoreError, StoreErrorKind,
};

/// A locker on the table `golock` of the server at `url`, `mysql://user:password@host:3306/database`: see
/// [`MysqlStoreBuilder::connect`].
///
/// # Errors
/// [`Error::Store`]: the server can't be reached, does not accept the password, allows no writes, ….
///
/// # Cancel safety
/// Dropping the future closes what was opened; the table may have been created.
pub async fn connect(url: &str) -> Result<Locker, Error> {
    Ok(Locker::new(MysqlStore::connect(url).await?))
}
