#![doc = include_str!("../README.md")]

pub mod backend;
mod builder;
mod engine;
mod error;
mod grant;
mod label;
mod lock;
mod locker;
mod memory;
#[cfg(feature = "metrics")]
pub mod metrics;
mod name;
mod options;
pub mod store;
mod token;

pub use async_trait::async_trait;

pub use builder::LockerBuilder;
#[doc(hidden)]
pub use engine::Env;
pub use error::{Error, ErrorKind, Holder, InvalidInput, LostReason};
pub use grant::GrantId;
pub use label::Label;
pub use lock::{Lock, LockWatch};
pub use locker::Locker;
pub use memory::MemoryStore;
pub use name::LockName;
pub use options::LockOptions;
#[doc(no_inline)]
pub use store::{LockInfo, LockStore, StoreError, StoreErrorKind};
pub use token::FencingToken;
