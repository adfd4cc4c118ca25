//! The suite of golock-conformance over SQL Server, or a Babelfish: see the fixture.

use std::process::ExitCode;

mod fixture;
mod server;

fn main() -> ExitCode {
    golock_conformance::main(fixture::targets())
}
