//! The suite of golock-conformance over MySQL and MariaDB.

use std::process::ExitCode;

mod fixture;
mod server;

fn main() -> ExitCode {
    golock_conformance::main(fixture::targets())
}
