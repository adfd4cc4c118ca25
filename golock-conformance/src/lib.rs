#![doc = include_str!("../README.md")]
#![allow(clippy::panic, reason = "cases say by panicking what a store did wrong; the runners catch it")]

mod case;
mod cases;
mod catalogue;
mod client;
mod clock;
mod context;
mod crash;
mod effort;
pub mod faults;
mod fixture;
pub mod history;
mod patience;
pub mod proxy;
mod report;
mod run;
#[cfg(feature = "runner")]
mod runner;
#[cfg(feature = "security")]
pub mod security;
#[cfg(feature = "testcontainers")]
pub mod servers;
mod single;
mod sql;
#[cfg(feature = "runner")]
mod target;

pub use case::{Case, Need, cases};
pub use fixture::{
    Abilities, Ability, Application, BoxError, Clock, Connections, Damage, Fault, Fixture, Guard,
    Misconfigured, Pause, PoolOfOne, Processes, Restart, RowLock, Sessions, SmallPool, Through,
};
pub use golock_core::async_trait;
pub use report::{Outcome, Report};
pub use run::{run, run_case, run_some, run_telling};
#[cfg(feature = "runner")]
pub use runner::main;
#[doc(hidden)]
pub use single::run_test as __run_test;
pub use sql::Sql;
#[cfg(feature = "runner")]
pub use target::{Opened, Target, Unopened};
