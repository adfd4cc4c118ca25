//! The suite of golock-conformance over a file of SQLite.

use std::process::ExitCode;

mod fixture;
mod place;

fn main() -> ExitCode {
    golock_conformance::main(fixture::targets())
}
