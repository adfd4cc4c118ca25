//! The `main` of a test target with `harness = false`: one run a server, and its clocks, a trial each.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

use super::plan::Plan;
use super::process::obey;
use super::report::Report;
use super::run::{kinds, run};
use super::wrong_clocks::{clients_clock_changes_nothing, servers_clock_may_be_an_hour_off};
use crate::context::chain;
use crate::fixture::{BoxError, Fixture};
use crate::report::Outcome;
use crate::target::{Slot, Target};

/// Runs faults over every target, as [`Plan::from_env`] says, the targets at the same time: `cargo test --test faults -- redis`
/// filters. Each prints its [`Report`]; it fails by a violation, and if too little was done to prove anything, and is ignored where no fault is possible. A trial is called
/// `target::faults`; two more, `target::clients_clock_changes_nothing` and `target::servers_clock_may_be_an_hour_off`, do nothing
/// but set a clock.
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
        let name = |(trial, _): &(&str, Act)| format!("{}::{trial}", target.id());
        let names = ACTS.each_ref().map(name);
        let is_wanted = |name: &String| !arguments.is_filtered_out(&Trial::test(name, || Ok(())));
        let wanted = !arguments.list && names.iter().any(is_wanted);
        let (slot, close) = Slot::new(target.with_settable_clock(), &runtime, wanted);
        closing.push(close);
        for (name, (_, act)) in names.into_iter().zip(ACTS) {
            let (handle, slot) = (runtime.handle().clone(), slot.clone());
            trials.push(Trial::ignorable_test(name, move || handle.block_on(in_trial(&slot, act))));
        }
    }
    arguments.test_threads = arguments.test_threads.or(Some(trials.len().max(1)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    for close in closing.into_iter().flatten() {
        runtime.block_on(close);
    }
    conclusion.exit_code()
}

/// What is done to a server that nobody else uses meanwhile.
type Act = for<'a> fn(&'a dyn Fixture) -> BoxFuture<'a, Result<Outcome, BoxError>>;

const ACTS: [(&str, Act); 3] = [
    ("faults", |fixture| harm(fixture).boxed()),
    ("clients_clock_changes_nothing", |fixture| clients_clock_changes_nothing(fixture).boxed()),
    ("servers_clock_may_be_an_hour_off", |fixture| servers_clock_may_be_an_hour_off(fixture).boxed()),
];

async fn in_trial(slot: &Slot, act: Act) -> Result<Completion, Failed> {
    let fixture = match slot.fixture().await? {
        Ok(fixture) => fixture,
        Err(ignored) => return Ok(ignored),
    };
    let _alone = slot.gate.write().await;
    match act(&*fixture).await.map_err(|error| chain(&*error))? {
        Outcome::Passed => Ok(Completion::Completed),
        Outcome::Ignored(reason) => Ok(Completion::ignored_with(reason)),
        Outcome::Failed(reason) => Err(reason.into()),
    }
}

async fn harm(fixture: &dyn Fixture) -> Result<Outcome, BoxError> {
    let plan = Plan { processes: true, ..Plan::from_env() };
    let (possible, impossible) = kinds(fixture, &plan);
    if possible.is_empty() {
        let reasons: BTreeSet<&str> = impossible.into_iter().map(|(_, reason)| reason).collect();
        let reasons: Vec<&str> = reasons.into_iter().collect();
        return Ok(Outcome::Ignored(format!("no fault is possible: {}", reasons.join("; "))));
    }
    let report = run(fixture, &plan).await?;
    tell(&report);
    let mut wrong: Vec<String> = report.violations().iter().map(ToString::to_string).collect();
    wrong.extend(report.too_little());
    wrong.truncate(20);
    Ok(if wrong.is_empty() { Outcome::Passed } else { Outcome::Failed(wrong.join("\n")) })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use golock_core::{LockStore, MemoryStore};

    use super::*;
    use crate::fixture::Abilities;

    struct Harmless;

    #[async_trait::async_trait]
    impl Fixture for Harmless {
        fn name(&self) -> &str {
            "harmless"
        }

        async fn store(&self, _: &str) -> Result<Arc<dyn LockStore>, BoxError> {
            Ok(Arc::new(MemoryStore::new()))
        }

        fn abilities(&self) -> Abilities<'_> {
            Abilities::none("it has no server")
        }
    }

    #[tokio::test]
    async fn run_without_a_possible_fault_is_no_pass() {
        match harm(&Harmless).await {
            Ok(Outcome::Ignored(reason)) => assert!(reason.contains("it has no server"), "{reason}"),
            outcome => panic!("{outcome:?}"),
        }
    }
}
