//! The `main` of a test target with `harness = false`: every case over every server, in parallel, with what is
//! ignored shown as ignored.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::RwLock;

use crate::case::{Case, cases};
use crate::fixture::Fixture;
use crate::report::Outcome;
use crate::run::{AT_ONCE, run_case};

/// A server whose cases the runner shows under an id.
pub struct Target {
    id: String,
    open: BoxFuture<'static, Result<Opened, Unopened>>,
}

/// A server that can be tested.
pub struct Opened {
    fixture: Arc<dyn Fixture>,
    close: Option<BoxFuture<'static, ()>>,
}

/// Why there is no server.
#[derive(Clone, Debug)]
pub enum Unopened {
    /// None could be found: its cases are ignored, for this reason, unless `GOLOCK_REQUIRE` lists it.
    Missing(String),
    /// There is one, but it can't be used: its cases fail, for this reason.
    Broken(String),
}

impl Target {
    /// A server that is open already.
    pub fn new(fixture: impl Fixture) -> Self {
        let id = fixture.name().to_owned();
        Self::lazy(id, async { Ok(Opened::new(fixture)) })
    }

    /// A server that is opened if one of its cases is to run, and closed when all have.
    pub fn lazy(
        id: impl Into<String>,
        open: impl Future<Output = Result<Opened, Unopened>> + Send + 'static,
    ) -> Self {
        Self { id: id.into(), open: open.boxed() }
    }
}

impl Opened {
    /// A server that needs no closing.
    pub fn new(fixture: impl Fixture) -> Self {
        Self { fixture: Arc::new(fixture), close: None }
    }

    /// What to do when all cases have ended: remove a container.
    #[must_use]
    pub fn closing_with(mut self, close: impl Future<Output = ()> + Send + 'static) -> Self {
        self.close = Some(close.boxed());
        self
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("fixture", &self.fixture.name()).finish_non_exhaustive()
    }
}

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
        let (slot, close) = Slot::new(target, &runtime, &arguments);
        slots.push(slot);
        closing.push(close);
    }
    // A case of each target by turns, so that none waits for another's start; the harmful ones last.
    let (alone, together): (Vec<&Case>, Vec<&Case>) = cases().iter().partition(|case| case.is_alone());
    let mut trials = Vec::new();
    for case in together.into_iter().chain(alone) {
        for slot in &slots {
            trials.push(slot.trial(case, runtime.handle().clone()));
        }
    }
    // Most of a case is waiting: more at once than there are processors.
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE * slots.len().clamp(1, 3)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(slots);
    for close in closing.into_iter().flatten() {
        runtime.block_on(close);
    }
    conclusion.exit_code()
}

/// A target while its cases run.
#[derive(Clone)]
struct Slot {
    id: String,
    opening: Shared<BoxFuture<'static, Result<Arc<dyn Fixture>, Unopened>>>,
    /// Cases that harm the server have it for themselves.
    gate: Arc<RwLock<()>>,
}

impl Slot {
    /// Begins to open the target, unless none of its cases is to run; and what closes it.
    fn new(
        target: Target,
        runtime: &Runtime,
        arguments: &Arguments,
    ) -> (Self, Option<BoxFuture<'static, ()>>) {
        let Target { id, open } = target;
        let wanted = !arguments.list
            && cases().iter().any(|case| {
                let trial = Trial::test(trial_name(&id, case), || Ok(()));
                !arguments.is_filtered_out(&trial)
            });
        if !wanted {
            drop(open);
            let never = async { Err(Unopened::Missing("no case was to run".to_owned())) };
            return (Self { id, opening: never.boxed().shared(), gate: Arc::default() }, None);
        }
        let (send_close, close) = tokio::sync::oneshot::channel();
        let task = runtime.spawn(async move {
            let opened = open.await?;
            // The receiver lives until the end of the run.
            let _ = send_close.send(opened.close);
            Ok(opened.fixture)
        });
        let opening =
            task.map(|ended| ended.unwrap_or_else(|error| Err(Unopened::Broken(error.to_string()))));
        let close = async move {
            if let Ok(Some(close)) = close.await {
                close.await;
            }
        };
        (Self { id, opening: opening.boxed().shared(), gate: Arc::default() }, Some(close.boxed()))
    }

    fn trial(&self, case: &'static Case, runtime: Handle) -> Trial {
        let slot = self.clone();
        Trial::ignorable_test(trial_name(&self.id, case), move || runtime.block_on(slot.run(case)))
    }

    async fn run(self, case: &Case) -> Result<Completion, Failed> {
        let fixture = match self.opening.await {
            Ok(fixture) => fixture,
            Err(Unopened::Missing(reason)) if !required(&self.id) => {
                return Ok(Completion::ignored_with(reason));
            }
            Err(Unopened::Missing(reason)) => {
                return Err(format!("{reason} (and GOLOCK_REQUIRE lists {})", self.id).into());
            }
            Err(Unopened::Broken(reason)) => return Err(reason.into()),
        };
        let (_together, _alone) = if case.is_alone() {
            (None, Some(self.gate.write().await))
        } else {
            (Some(self.gate.read().await), None)
        };
        let begun = Instant::now();
        let outcome = run_case(&*fixture, case).await;
        if !matches!(outcome, Outcome::Ignored(_)) {
            tell_time(&self.id, case, begun.elapsed());
        }
        match outcome {
            Outcome::Passed => Ok(Completion::Completed),
            Outcome::Ignored(reason) => Ok(Completion::ignored_with(reason)),
            Outcome::Failed(reason) => Err(format!("{reason}\nwhich is to prove: {}", case.proves()).into()),
        }
    }
}

fn trial_name(id: &str, case: &Case) -> String {
    format!("{id}::{}", case.name)
}

/// Whether `GOLOCK_REQUIRE` lists the server.
pub(crate) fn required(id: &str) -> bool {
    std::env::var("GOLOCK_REQUIRE").is_ok_and(|ids| ids.split(',').any(|required| required.trim() == id))
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
