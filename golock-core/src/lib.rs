//! The contract of golock.
mod error;
mod grant;
mod label;
mod memory;
mod name;
mod options;
pub mod store;
mod token;

pub use error::{Error, ErrorKind, Holder, InvalidInput, LostReason};
pub use grant::GrantId;
pub use label::Label;
pub use memory::MemoryStore;
pub use name::LockName;
pub use options::LockOptions;
#[doc(no_inline)]
pub use store::{LockStore, StoreError, StoreErrorKind};
pub use token::FencingToken;

pub use async_trait::async_trait;
