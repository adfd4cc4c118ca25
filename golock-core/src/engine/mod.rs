//! The engine behind [`Locker`](crate::Locker): one keeper task that owns every call of the store.
//!
//! * [`keeper`]: the task, its loop, what it dispatches;
//! * [`line`]: who waits for a name; [`asking`]: how the head of the line asks for it;
//! * [`local`]: which names this locker has itself; [`strangers`]: the turns of those elsewhere who can leave no mark;
//! * [`holding`]: locks that are held, their deadlines, their renewal;
//! * [`ending`]: releases and undos, repeated until they are sure;
//! * [`outbox`]: what gathers to be sent together;
//! * [`listener`]: wake-ups pushed by the store;
//! * [`lease`]: what a lock shares with the keeper; [`call`]: calls on their way; [`command`]: what handles ask;
//!   [`timers`], [`env`]: time and chance; [`telemetry`]: what it tells of itself.

mod asking;
mod call;
mod command;
mod ending;
mod env;
mod holding;
mod keeper;
mod lease;
mod line;
mod listener;
mod local;
mod outbox;
mod strangers;
mod telemetry;
#[cfg(test)]
mod tests;
mod timers;

pub(crate) use self::call::Calls;
pub(crate) use self::command::{Command, Commands, Reply, ask};
pub use self::env::Env;
pub(crate) use self::keeper::Keeper;
pub(crate) use self::lease::Lease;
pub(crate) use self::telemetry::{Group, Series, Telemetry, extending, unlocking};
