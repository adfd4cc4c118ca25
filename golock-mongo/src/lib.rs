#![doc = include_str!("../README.md")]

mod answers;
mod builder;
mod error;
mod options;
mod renewals;
mod schema;
mod server;
mod session;
mod statements;
mod store;
mod wakeups;

pub use builder::MongoStoreBuilder;
pub use mongodb;
pub use store::MongoStore;

// What a service needs besides: it depends on this crate alone.
#[doc(no_inline)]
pub use golock_core::{
    self, Error, ErrorKind, FencingToken, Holder, InvalidInput, Label, Lock, LockInfo, LockName, LockOptions,
    LockStore, LockWatch, Locker, LockerBuilder, LostReason, MemoryStore, StoreError, StoreErrorKind,
};

/// A locker on the collection `golock` of the database that `url` names, or else of the database `golock`:
/// `mongodb://user:password@host:27017/database?replicaSet=rs0`. See [`MongoStoreBuilder::connect`].
///
/// # Errors
/// [`Error::Store`]: the server can't be reached, does not accept the password, is no primary, ….
///
/// # Cancel safety
/// Dropping the future closes what was opened. Nothing was written.
pub async fn connect(url: &str) -> Result<Locker, Error> {
    Ok(Locker::new(MongoStore::connect(url).await?))
}
