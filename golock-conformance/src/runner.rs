//! The `main` of a test target with `harness = false`: every case over every server, in parallel, with what is
//! ignored shown as ignored.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Handle, Runtime};

use crate::case::{Case, cases};
use crate::report::Outcome;
use crate::run::{AT_ONCE, run_case};
use crate::target::{Slot, Target};

/// Runs every case over every target, as libtest would: `cargo test -- postgres::tokens` filters, `--list` lists.
/// `--describe` tells what each case proves and needs; with `GOLOCK_TIMES=1` each case says how long it took.
///
/// The targets are opened at once, when it is known that one of their cases will run, and closed at the end.
/// A trial is called `target::case`.
pub fn main(targets: Vec<Target>) -> ExitCode {
    let mut arguments = Arguments::from_iter(std::env::args().filter(|argument| argument != DESCRIBE));
    if std::env::args().any(|argument| argument == DESCRIBE) {
        describe();
        return ExitCode::SUCCESS;
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let mut closing = Vec::new();
    let mut slots = Vec::new();
    for target in targets {
        let wanted = !arguments.list
            && cases().iter().any(|case| {
                let trial = Trial::test(trial_name(target.id(), case), || Ok(()));
                !arguments.is_filtered_out(&trial)
            });
        let (slot, close) = Slot::new(target, &runtime, wanted);
        slots.push(slot);
        closing.push(close);
    }
    // A case of each target by turns, so that none waits for another's start; the harmful ones last.
    let (alone, together): (Vec<&Case>, Vec<&Case>) = cases().iter().partition(|case| case.is_alone());
    let mut trials = Vec::new();
    for case in together.into_iter().chain(alone) {
        for slot in &slots {
            trials.push(trial(slot, case, runtime.handle().clone()));
        }
    }
    // Most of a case is waiting: more at once than there are processors.
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE * slots.len().clamp(1, 2)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(slots);
    for close in closing.into_iter().flatten() {
        runtime.block_on(close);
    }
    conclusion.exit_code()
}

/// The trial of one case over one target.
fn trial(slot: &Slot, case: &'static Case, runtime: Handle) -> Trial {
    let slot = slot.clone();
    Trial::ignorable_test(trial_name(slot.id(), case), move || runtime.block_on(run(slot, case)))
}

async fn run(slot: Slot, case: &Case) -> Result<Completion, Failed> {
    let fixture = match slot.fixture().await? {
        Ok(fixture) => fixture,
        Err(ignored) => return Ok(ignored),
    };
    let (_together, _alone) = if case.is_alone() {
        (None, Some(slot.gate.write().await))
    } else {
        (Some(slot.gate.read().await), None)
    };
    let begun = Instant::now();
    let outcome = run_case(&*fixture, case).await;
    if !matches!(outcome, Outcome::Ignored(_)) {
        tell_time(slot.id(), case, begun.elapsed());
    }
    match outcome {
        Outcome::Passed => Ok(Completion::Completed),
        Outcome::Ignored(reason) => Ok(Completion::ignored_with(reason)),
        Outcome::Failed(reason) => Err(format!("{reason}\nwhich is to prove: {}", case.proves()).into()),
    }
}

fn trial_name(id: &str, case: &Case) -> String {
    format!("{id}::{}", case.name)
}

fn tell_time(id: &str, case: &Case, took: Duration) {
    if std::env::var("GOLOCK_TIMES").is_ok_and(|value| value == "1") {
        let line = format!("{:>7.1} s {}\n", took.as_secs_f64(), trial_name(id, case));
        // In one piece, for results are printed at the same time.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

#[allow(clippy::print_stdout, reason = "it was asked for on the command line")]
fn describe() {
    for case in cases() {
        let properties =
            if case.properties.is_empty() { String::new() } else { format!(" ({})", case.properties) };
        println!("{}{properties}\n    {}", case.name, case.proves());
        if !case.needs.is_empty() {
            println!("    needs {:?}", case.needs);
        }
    }
}

const DESCRIBE: &str = "--describe";
