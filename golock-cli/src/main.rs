//! The `golock` command.

mod arguments;
mod failure;
mod run;
mod store;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::store::Store;

fn main() -> ExitCode {
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => execute(arguments),
        Err(error) => arguments::wrong(error),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            say(&failure.to_string());
            ExitCode::from(failure.code())
        }
    }
}

fn execute(arguments: Arguments) -> Result<u8, Failure> {
    let store = || Store::at(arguments.store);
    match arguments.command {
        Command::Gate(gate) => Err(run::wait_and_become(&gate.command)),
        Command::Watchdog(watchdog) => on_one_thread(run::watch(watchdog)).map(|()| 0),
        Command::Run(run) => on_one_thread(run::run(&store()?, &run)),
    }
}

fn on_one_thread<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(work);
    // What a driver still does in the background is of no use any more.
    runtime.shutdown_background();
    outcome
}

/// A line for people, on standard error.
fn say(line: &str) {
    // Nobody may be left to read it.
    let _ = writeln!(std::io::stderr(), "golock: {line}");
}
