//! The faults of golock-conformance on PostgreSQL: the newest, and the oldest that is tested.

use std::process::ExitCode;

mod fixture;
mod server;

fn main() -> ExitCode {
    golock_conformance::faults::main(fixture::targets())
}
