//! Faults under a stranger's store: processes that hold its locks are killed, and stopped at the worst moment.

use std::process::ExitCode;

mod fixture;

fn main() -> ExitCode {
    golock_conformance::faults::main(vec![fixture::target()])
}
