//! The faults of golock-conformance on a file of SQLite: its holders are killed and stopped.

use std::process::ExitCode;

mod fixture;
mod place;

fn main() -> ExitCode {
    golock_conformance::faults::main(fixture::targets())
}
