//! The faults of golock-conformance on SQL Server, or a Babelfish: see the fixture.

use std::process::ExitCode;

mod fixture;
mod server;

fn main() -> ExitCode {
    golock_conformance::faults::main(fixture::targets())
}
