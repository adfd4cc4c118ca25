//! golock beside its peers and the raw floor, on the same servers, in one run. `scripts/bench` starts it.

mod contender;
mod databases;
mod golock;
mod line;
mod options;
mod report;
mod results;
mod servers;
mod workloads;

use std::alloc::System;
use std::env;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::signal::unix::{SignalKind, signal};

use self::contender::BoxError;
use self::options::{Options, USAGE};
use self::report::Report;
use self::results::Results;
use self::servers::Server;
use self::workloads::processes;

/// Counts what is on the heap, for W5; for all contenders alike.
#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).peekable();
    let outcome = match arguments.peek().map(String::as_str) {
        Some(processes::CHILD) => processes::child(arguments.skip(1)).await.map(|()| true),
        Some("--help" | "-h") => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => bench(arguments).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Whether all could be measured that was asked for.
async fn bench(arguments: impl Iterator<Item = String>) -> Result<bool, BoxError> {
    let options = Options::parse(arguments)?;
    let mut results = Results::default();
    let mut servers = Vec::new();
    let measuring = async {
        // One after another, so that only the server that is measured is busy.
        for &database in &options.databases {
            let server = Server::open(database).await?;
            servers.push((database.kind().id, server.title.clone()));
            workloads::run(&options, database, &server.url, &mut results).await;
            // What comes next may take an hour, or not come to its end.
            Report::new(&options, &results, &servers).write_json()?;
        }
        Ok::<_, BoxError>(())
    };
    tokio::select! {
        // The containers go when this does.
        told = told_to_end() => return told,
        measured = measuring => measured?,
    }
    Report::new(&options, &results, &servers).write()?;
    Ok(results.failures.is_empty())
}

/// Returns, with an error that says so, at SIGINT and SIGTERM.
async fn told_to_end() -> Result<bool, BoxError> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Err("told to end".into())
}

/// Bytes on the heap now.
fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// To whoever started it.
#[allow(clippy::print_stderr, reason = "this is a program for people at a terminal")]
fn say(line: &str) {
    eprintln!("golock-bench: {line}");
}
