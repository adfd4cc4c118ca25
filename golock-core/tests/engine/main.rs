//! The engine over a store in memory, in virtual time: what the properties of the catalogue marked U and S claim.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by unwrapping it")]

mod batching;
mod broken;
mod cancel;
mod common;
mod doubt;
mod dropping;
mod durations;
mod handing_over;
mod input;
mod listener;
mod messages;
mod ownership;
mod peers;
mod renewal;
mod shutdown;
mod simulation;
mod types;
mod validity;
mod waiting;
