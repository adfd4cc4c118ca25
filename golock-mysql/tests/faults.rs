//! The faults of golock-conformance on MySQL and MariaDB.

use std::process::ExitCode;

mod fixture;
mod server;

fn main() -> ExitCode {
    golock_conformance::faults::main(fixture::targets())
}
