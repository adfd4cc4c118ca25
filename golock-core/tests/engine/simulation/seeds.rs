//! Which seeds are run, on all processors: first those that once found something, then as many as are asked for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::run::{Outcome, Plan};

/// One a line: a seed, and what it found. It is run first, ever after.
const CORPUS: &str = include_str!("corpus.txt");
const SEEDS: u64 = 1_000;

/// Runs them all; panics with all that is wrong, and how to see it again.
///
/// `GOLOCK_SEEDS=100000` runs more of them, `GOLOCK_SEED=7` only that one, with a log of what was sent.
pub(super) fn run_all() -> Totals {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (alone, count) = (number("GOLOCK_SEED"), number("GOLOCK_SEEDS").unwrap_or(SEEDS));
    let corpus = corpus();
    let seeds = move |place: u64| match (alone, corpus.get(place as usize)) {
        (Some(seed), _) => (place == 0).then_some(seed),
        (None, Some(seed)) => Some(*seed),
        (None, None) => Some(place - corpus.len() as u64 + 1).filter(|seed| *seed <= count),
    };
    let (next, totals, failures) = (AtomicU64::new(0), Totals::default(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(seed) = seeds(next.fetch_add(1, Ordering::Relaxed)) {
                    totals.runs.fetch_add(1, Ordering::Relaxed);
                    match judged(&Plan { logged: alone.is_some(), ..Plan::of(seed) }) {
                        Ok(grants) => drop(totals.grants.fetch_add(grants, Ordering::Relaxed)),
                        Err(wrong) => failures.lock().unwrap().push(wrong),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let shown = failures.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {} seeds found something:\n{shown}", failures.len(), totals.runs());
    totals
}

#[derive(Debug, Default)]
pub(super) struct Totals {
    runs: AtomicUsize,
    grants: AtomicUsize,
}

impl Totals {
    pub(super) fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    pub(super) fn grants(&self) -> usize {
        self.grants.load(Ordering::Relaxed)
    }
}

/// How many grants there were, or what is wrong.
fn judged(plan: &Plan) -> Result<usize, String> {
    let again = format!("GOLOCK_SEED={} cargo test -p golock-core --test engine simulation", plan.seed);
    match catch_unwind(AssertUnwindSafe(|| plan.run())) {
        Ok(Outcome { wrong, grants, .. }) if wrong.is_empty() => Ok(grants),
        Ok(Outcome { wrong, log, .. }) => {
            let first = wrong.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n  ");
            Err(format!("{again}\n  {first}\n{log}"))
        }
        Err(_) => Err(format!("{again}\n  panicked, see above")),
    }
}

fn corpus() -> Vec<u64> {
    let lines = CORPUS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
fn corpus_can_be_read() {
    let lines = CORPUS.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
    assert_eq!(corpus().len(), lines, "each line begins with a seed");
}
