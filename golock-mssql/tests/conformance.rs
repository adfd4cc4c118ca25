//! The suite of golock-conformance over SQL Server: the one that `GOLOCK_TEST_MSSQL_URL` names, else Microsoft's image.
//!
//! The URL may name a Babelfish instead: it speaks the same protocol and language, and is not SQL Server. Cases that rest
//! on what it lacks are ignored there.

use std::process::ExitCode;

mod fixture;
mod server;

fn main() -> ExitCode {
    golock_conformance::main(fixture::targets())
}
