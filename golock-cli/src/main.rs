//! The `golock` command.

#![cfg_attr(
    not(any(
        feature = "mongo",
        feature = "mssql",
        feature = "mysql",
        feature = "postgres",
        feature = "redis",
        feature = "sqlite"
    )),
    allow(dead_code, unused_imports, unused_variables, reason = "without a backend there is little to do")
)]

mod arguments;
mod doctor;
mod failure;
mod manual;
mod operate;
mod run;
mod shown;
mod store;
mod verify;
mod watch;

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
            if !failure.is_quiet() {
                say(&failure.to_string());
            }
            ExitCode::from(failure.code())
        }
    }
}

fn execute(arguments: Arguments) -> Result<u8, Failure> {
    let store = || Store::at(arguments.store, arguments.table);
    match arguments.command {
        Command::Gate(gate) => Err(run::wait_and_become(&gate.command)),
        Command::Watchdog(watchdog) => on_one_thread(run::watch(watchdog)).map(|()| 0),
        Command::Run(run) => on_one_thread(run::run(&store()?, &run)),
        Command::Ls(ls) => on_one_thread(operate::ls(&store()?, &ls)),
        Command::Show(show) => on_one_thread(operate::show(&store()?, &show)),
        Command::Revoke(revoke) => on_one_thread(operate::revoke(&store()?, &revoke)),
        Command::Unlock(unlock) => on_one_thread(operate::unlock(&store()?, &unlock)),
        Command::Purge(purge) => on_one_thread(operate::purge(&store()?, &purge)),
        Command::Watch(watch) => on_one_thread(watch::watch(&store()?, &watch)),
        Command::Schema(schema) => on_one_thread(operate::schema(&store()?, &schema)),
        Command::Doctor(doctor) => on_one_thread(doctor::examine(&store()?, &doctor)),
        Command::Verify(verify) => verify::verify(&store()?, &verify),
        Command::Completions(completions) => manual::completions(completions.shell),
        Command::Man => manual::man(),
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
    let _ = writeln!(std::io::stderr(), "golock: {}", shown::printable(line));
}
