#![doc = include_str!("../README.md")]

mod answers;
mod builder;
mod clock;
mod error;
mod keys;
mod lane;
mod link;
mod listener;
mod schema;
mod scripts;
mod session;
mod store;
mod tls;
mod url;

pub use builder::RedisStoreBuilder;
pub use fred;
pub use store::RedisStore;

// What a service needs besides: it depends on this crate alone.
#[doc(no_inline)]
pub use golock_core::{
    self, Error, FencingToken, Lock, LockOptions, LockStore, LockWatch, Locker, LostReason,
};

/// x
pub async fn connect(url: &str) -> Result<Locker, Error> {
    Ok(Locker::new(RedisStore::connect(url).await?))
}
