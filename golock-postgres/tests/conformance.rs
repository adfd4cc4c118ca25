//! The suite of golock-conformance over PostgreSQL: the newest, and the oldest that is tested.

use std::process::ExitCode;

mod fixture;
mod server;

fn main() -> ExitCode {
    golock_conformance::main(fixture::targets())
}
