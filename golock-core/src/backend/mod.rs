//! What backends have in common: for whoever writes one, and of no use to anybody else.
//!
//! Two parts have dependencies of their own, and are features: `sessions` (deadpool) and `tls` (rustls).

mod answers;
mod creation;
#[cfg(feature = "sessions")]
pub mod sessions;
mod statement;
mod time;
#[cfg(feature = "tls")]
pub mod tls;

pub use self::answers::in_order;
pub use self::creation::Creation;
pub use self::statement::{fill, without_comments};
pub use self::time::{from_micros, micros};
