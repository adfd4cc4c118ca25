//! The suite of golock-conformance over Redis and Valkey.

use std::process::ExitCode;

mod fixture;
mod server;

fn main() -> ExitCode {
    golock_conformance::main(fixture::targets())
}
