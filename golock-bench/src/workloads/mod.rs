//! The workloads, and what they share: contenders take turns, and one that fails is named and left out.

mod contended;
mod meter;
mod pairs;
pub(crate) mod processes;
mod renewing;
mod rows;
mod waiting;

pub(crate) use self::rows::label as rows_label;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::contender::{BoxError, Entry, Role};
use crate::databases::Database;
use crate::options::{Effort, Options};
use crate::results::{Results, Subject};
use crate::say;

/// What is measured by each workload: its name in the results, the numbers of tasks.
pub(crate) const OWN_NAMES: [(&str, usize); 4] = [("W1", 1), ("W2", 16), ("W2", 64), ("W2", 256)];
pub(crate) const ONE_NAME: [usize; 3] = [2, 16, 128];
pub(crate) const PROCESSES: [(&str, usize); 2] = [("W3-2-processes", 2), ("W3-8-processes", 8)];
pub(crate) const TASKS_A_PROCESS: usize = 4;
pub(crate) const WAITERS: usize = 100;

/// Runs what was asked for on one database.
pub(crate) async fn run(
    options: &Options,
    database: &'static dyn Database,
    url: &str,
    results: &mut Results,
) {
    let mut bench = Bench { database, url, effort: options.effort, results };
    for (workload, tasks) in OWN_NAMES {
        if options.runs(workload) {
            pairs::run(&mut bench, workload, tasks).await;
        }
    }
    if options.runs("W3") {
        for tasks in ONE_NAME {
            contended::run(&mut bench, tasks).await;
        }
        for (workload, processes) in PROCESSES {
            processes::run(&mut bench, workload, processes).await;
        }
    }
    if options.runs("W4") {
        waiting::run(&mut bench).await;
    }
    if options.runs("W5") {
        renewing::run(&mut bench).await;
    }
    if options.runs("W6") {
        rows::run(&mut bench).await;
    }
}

/// One database being measured.
struct Bench<'a> {
    database: &'static dyn Database,
    url: &'a str,
    effort: Effort,
    results: &'a mut Results,
}

/// What one measurement says: metrics and their values.
type Values = Vec<(&'static str, f64)>;

impl<'a> Bench<'a> {
    fn subject<'s>(&self, workload: &'s str, tasks: usize) -> Subject<'s> {
        Subject { workload, backend: self.database.kind().id, tasks }
    }

    fn entries(&self, runs: impl Fn(Role) -> bool) -> Vec<Entry> {
        self.database.contenders().iter().copied().filter(|entry| runs(entry.role)).collect()
    }

    /// Measures each contender as often as was asked for, one repetition of all after another, each time another first.
    async fn in_turns(
        &mut self,
        subject: Subject<'_>,
        entries: &[Entry],
        measure: impl AsyncFn(Entry) -> Result<Values, BoxError>,
    ) {
        let mut measured: Vec<Option<Vec<Values>>> = vec![Some(Vec::new()); entries.len()];
        for repetition in 0..self.effort.repetitions {
            for turn in 0..entries.len() {
                let index = (turn + repetition) % entries.len();
                let Some(values) = &mut measured[index] else { continue };
                match patiently(measure(entries[index])).await {
                    Ok(more) => values.push(more),
                    Err(error) => {
                        self.failed(subject, entries[index], &error);
                        measured[index] = None;
                    }
                }
            }
        }
        for (entry, values) in entries.iter().zip(measured) {
            self.add(subject, entry.label, &values.unwrap_or_default());
        }
    }

    /// Adds the values of several measurements of one contender.
    fn add(&mut self, subject: Subject<'_>, contender: &str, measured: &[Values]) {
        let Some(first) = measured.first() else { return };
        for (metric, _) in first {
            let of_metric =
                |values: &Values| values.iter().find(|(name, _)| name == metric).map(|found| found.1);
            let values: Vec<f64> = measured.iter().filter_map(of_metric).collect();
            self.results.add(subject, contender, metric, &values);
        }
    }

    fn failed(&mut self, subject: Subject<'_>, entry: Entry, error: &BoxError) {
        let Subject { workload, backend, tasks } = subject;
        let failure = format!("{backend} {workload}, {tasks} tasks, {}: {}", entry.label, chain(&**error));
        say(&failure);
        self.results.failures.push(failure);
    }
}

/// No measurement may hang the run.
async fn patiently<T>(measurement: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    match tokio::time::timeout(PATIENCE, measurement).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no end after {PATIENCE:?}").into()),
    }
}

const PATIENCE: Duration = Duration::from_secs(300);

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A name that no other measurement has: what one leaves behind is in nobody's way.
fn fresh_name(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
