#![doc = include_str!("../README.md")]

mod answers;
mod builder;
mod connection;
mod error;
mod lane;
mod limits;
mod statements;
mod store;
mod table;
mod url;

pub use builder::SqliteStoreBuilder;
pub use store::SqliteStore;

// What a service needs besides: it depends on this crate alone.
#[doc(no_inline)]
pub use golock_core::{
    self, Error, ErrorKind, FencingToken, Holder, InvalidInput, Label, Lock, LockInfo, LockName, LockOptions,
    LockStore, LockWatch, Locker, LockerBuilder, LostReason, MemoryStore, StoreError, StoreErrorKind,
};

/// A locker on the table `golock` of a file: `sqlite:///var/lib/app/locks.db`, `sqlite://locks.db` (from the current
/// directory on), or a plain path. See [`SqliteStoreBuilder::connect`].
///
/// # Errors
/// [`Error::Store`]: the file can't be opened or created, is none of SQLite's, may not be written, ….
///
/// # Cancel safety
/// Dropping the future closes what was opened; the file and the table may have been created.
pub async fn connect(url: &str) -> Result<Locker, Error> {
    Ok(Locker::new(SqliteStore::connect(url).await?))
}
