//! Faults on a real server, while lockers work on it: a run that writes down what everybody saw, and what it found.
//!
//! Several lockers, each behind a [proxy](crate::proxy) of its own, lock a few names in every way there is, and write to a fenced
//! register that stands outside of the server. Meanwhile a seeded schedule does to the network, the server and to processes that
//! hold locks what happens to them in a bad year, in rounds: some seconds of faults, then quiet for as long as a name may stay
//! taken, so that what is stuck shows. At the end [`History::check`](crate::history::History::check) looks at everything that was
//! seen, and every locker must work again without being rebuilt.
//!
//! As a test target with `harness = false`:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use golock_conformance::{Abilities, BoxError, Fixture, async_trait};
//! # use golock_core::{LockStore, MemoryStore};
//! # struct Mine(MemoryStore);
//! # #[async_trait]
//! # impl Fixture for Mine {
//! #     fn name(&self) -> &str { "mine" }
//! #     async fn store(&self, _: &str) -> Result<Arc<dyn LockStore>, BoxError> { Ok(Arc::new(self.0.clone())) }
//! #     fn abilities(&self) -> Abilities<'_> { Abilities::none("not yet") }
//! # }
//! # #[cfg(feature = "runner")]
//! fn main() -> std::process::ExitCode {
//!     golock_conformance::faults::main(vec![golock_conformance::Target::new(Mine(MemoryStore::new()))])
//! }
//! # #[cfg(not(feature = "runner"))]
//! # fn main() {}
//! ```
//!
//! or from a program of one's own by [`run`], which returns a [`Report`]. What a fixture can't do is told in the report, with the
//! reason, and not counted.

mod caller;
mod clocks;
mod holder;
mod injector;
mod kind;
mod ledger;
#[cfg(feature = "runner")]
mod main;
mod plan;
#[cfg(feature = "runner")]
mod process;
mod report;
mod run;
#[cfg(feature = "runner")]
mod wrong_clocks;

pub use self::kind::Kind;
#[cfg(feature = "runner")]
pub use self::main::main;
pub use self::plan::{Plan, Step};
pub use self::report::Report;
pub use self::run::run;
