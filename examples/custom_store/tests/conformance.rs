//! The whole suite over a stranger's store.

use std::process::ExitCode;

mod fixture;

fn main() -> ExitCode {
    golock_conformance::main(vec![fixture::target()])
}
