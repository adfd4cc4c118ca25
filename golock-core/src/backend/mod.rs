//! What backends have in common: for whoever writes one, and of no use to anybody else.
//!
//! Two parts have dependencies of their own, and are features: `sessions` (deadpool) and `tls` (rustls).

mod answers;
mod clock;
mod connecting;
mod creation;
mod pages;
mod record;
#[cfg(feature = "sessions")]
pub mod sessions;
mod statement;
mod table;
mod time;
#[cfg(feature = "tls")]
pub mod tls;
mod verdict;
mod wakeups;

pub use self::answers::{all_or_error, ask_again, each_by_itself, in_order};
pub use self::clock::ServerClock;
pub use self::connecting::connected_within;
pub use self::creation::Creation;
pub use self::pages::page_by_page;
pub use self::record::Record;
pub use self::statement::{fill, without_comments};
pub use self::table::Table;
pub use self::time::{from_micros, micros};
pub use self::verdict::Verdict;
pub use self::wakeups::listening;
