#![doc = include_str!("../README.md")]

mod answers;
mod builder;
mod cluster;
mod error;
mod keys;
mod lane;
mod link;
mod listener;
mod opening;
mod redirections;
mod schema;
mod scripts;
mod servers;
mod session;
mod setup;
mod store;
mod tls;
mod tool;
mod url;

pub use builder::RedisStoreBuilder;
pub use fred;
pub use store::RedisStore;
#[doc(hidden)]
pub use tool::ToolConnection;

// What a service needs besides: it depends on this crate alone.
#[doc(no_inline)]
pub use golock_core::{
    self, Error, ErrorKind, FencingToken, Holder, InvalidInput, Label, Lock, LockInfo, LockName, LockOptions,
    LockStore, LockWatch, Locker, LockerBuilder, LostReason, MemoryStore, StoreError, StoreErrorKind,
};

/// A locker on the server at `url`, `redis://user:password@host:6379/0`, with keys that begin with `golock:`: see
/// [`RedisStoreBuilder::connect`].
///
/// # Errors
/// [`Error::Store`]: the server can't be reached, does not accept the password, is a replica, may evict locks, ….
///
/// # Cancel safety
/// Dropping the future closes what was opened.
pub async fn connect(url: &str) -> Result<Locker, Error> {
    Ok(Locker::new(RedisStore::connect(url).await?))
}
