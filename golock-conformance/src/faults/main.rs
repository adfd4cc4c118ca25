//! The `main` of a test target with `harness = false`: one run a server, a trial each.

use std::io::Write;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Handle, Runtime};

use super::plan::Plan;
use super::process::obey;
use super::report::Report;
use super::run::run;
use crate::context::chain;
use crate::target::{Slot, Target};

/// Runs faults over every target, as [`Plan::from_env`] says, the targets at the same time: `cargo test --test faults -- redis`
/// filters. Each prints its [`Report`]; it fails by a violation, and if too little was done to prove anything. A trial is called
/// `target::faults`.
///
/// The reports' last lines are also appended to the file that `GOLOCK_FAULTS_SUMMARY` names.
///
/// The program starts itself again for processes that hold locks, with `GOLOCK_FAULTS_HOLDER` in the environment; so `main` does
/// nothing before this, and makes the same targets then.
pub fn main(targets: Vec<Target>) -> ExitCode {
    let targets = match obey(targets) {
        Ok(targets) => targets,
        Err(obeyed) => return obeyed,
    };
    let mut arguments = Arguments::from_args();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let (mut closing, mut trials) = (Vec::new(), Vec::new());
    for target in targets {
        let name = format!("{}::faults", target.id());
        let wanted = !arguments.list && !arguments.is_filtered_out(&Trial::test(&name, || Ok(())));
        let (slot, close) = Slot::new(target, &runtime, wanted);
        closing.push(close);
        let handle = runtime.handle().clone();
        trials.push(Trial::ignorable_test(name, move || in_trial(&handle, &slot)));
    }
    arguments.test_threads = arguments.test_threads.or(Some(trials.len().max(1)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    for close in closing.into_iter().flatten() {
        runtime.block_on(close);
    }
    conclusion.exit_code()
}

fn in_trial(runtime: &Handle, slot: &Slot) -> Result<Completion, Failed> {
    runtime.block_on(async {
        let fixture = match slot.fixture().await? {
            Ok(fixture) => fixture,
            Err(ignored) => return Ok(ignored),
        };
        let plan = Plan { processes: true, ..Plan::from_env() };
        let report = run(&*fixture, &plan).await.map_err(|error| chain(&*error))?;
        tell(&report);
        let mut wrong: Vec<String> = report.violations().iter().map(ToString::to_string).collect();
        wrong.extend(report.too_little());
        wrong.truncate(20);
        if wrong.is_empty() { Ok(Completion::Completed) } else { Err(wrong.join("\n").into()) }
    })
}

/// In one piece, for others may be told of at the same time.
#[allow(clippy::panic, reason = "a summary that is asked for and not written must not go unnoticed")]
fn tell(report: &Report) {
    let _ = std::io::stdout().write_all(format!("\n{report}\n").as_bytes());
    let Ok(path) = std::env::var("GOLOCK_FAULTS_SUMMARY") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(format!("{}\n", report.summary()).as_bytes()));
    if let Err(error) = written {
        panic!("{path}: {error}");
    }
}
