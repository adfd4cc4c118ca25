//! x

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

use golock_core::{Error, Locker};

/// x
pub async fn connect(url: &str) -> Result<Locker, Error> {
    Ok(Locker::new(RedisStore::connect(url).await?))
}
