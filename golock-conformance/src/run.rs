//! Runs cases: one, with its needs, limit of time and panics seen to, or all of a fixture's.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use tokio::time;

use crate::case::{Case, Need, cases};
use crate::context::{Context, SHARED_SPACE};
use crate::effort;
use crate::fixture::Fixture;
use crate::report::{Outcome, Report};

/// Runs every case over a fixture, several at a time, and those that need the server for themselves at the end.
pub async fn run(fixture: &dyn Fixture) -> Report {
    run_some(fixture, |_| true).await
}

/// As [`run`], but only the cases that are wanted.
pub async fn run_some(fixture: &dyn Fixture, wanted: impl Fn(&Case) -> bool) -> Report {
    run_telling(fixture, wanted, |_, _| {}).await
}

/// As [`run_some`], and tells of each case when it has ended.
pub async fn run_telling(
    fixture: &dyn Fixture,
    wanted: impl Fn(&Case) -> bool,
    mut tell: impl FnMut(&Case, &Outcome),
) -> Report {
    let wanted = cases().iter().filter(|case| wanted(case));
    let (alone, together): (Vec<&Case>, Vec<&Case>) = wanted.partition(|case| case.is_alone());
    let mut report = Report::new(fixture.name());
    let mut outcomes = stream::iter(together)
        .map(|case| async move { (case, run_case(fixture, case).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((case, outcome)) = outcomes.next().await {
        tell(case, &outcome);
        report.add(case, outcome);
    }
    drop(outcomes);
    for case in alone {
        let outcome = run_case(fixture, case).await;
        tell(case, &outcome);
        report.add(case, outcome);
    }
    report
}

/// Runs one case over a fixture. Nobody else may use the server meanwhile if the case [is alone](Case::is_alone).
pub async fn run_case(fixture: &dyn Fixture, case: &Case) -> Outcome {
    let context = Context::new(fixture, case.name);
    match contained(effort::GIVE_UP, unmet_need(fixture, &context, case)).await {
        Ok(None) => {}
        Ok(Some(reason)) => return Outcome::Ignored(reason),
        Err(reason) => return Outcome::Failed(reason),
    }
    let limit = effort::limit(case.is_long());
    let ended = contained(limit, (case.run)(&context)).await;
    let dropped = contained(effort::GIVE_UP, context.drop_own_spaces()).await.and_then(|dropped| dropped);
    match (ended, dropped) {
        (Err(reason), _) => Outcome::Failed(reason),
        (Ok(()), Err(reason)) => Outcome::Failed(format!("the space could not be dropped: {reason}")),
        (Ok(()), Ok(())) => Outcome::Passed,
    }
}

/// What the work comes to, or how it failed: by a panic, or for it did not end.
async fn contained<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    match AssertUnwindSafe(time::timeout(limit, work)).catch_unwind().await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(format!("did not end within {limit:?}")),
        Err(panic) => Err(panic_text(&*panic)),
    }
}

/// Why the case can't run over this fixture.
async fn unmet_need(fixture: &dyn Fixture, context: &Context<'_>, case: &Case) -> Option<String> {
    let abilities = fixture.abilities();
    if let Some(reason) = case.needs.iter().find_map(|need| need.unmet_by(&abilities)) {
        return Some(reason);
    }
    if !case.needs.iter().any(|need| matches!(need, Need::Push | Need::Batches | Need::HandOver)) {
        return None;
    }
    let can = context.store_in(SHARED_SPACE).await.capabilities();
    if case.needs.contains(&Need::Push) && !can.wakeups {
        Some("needs Push: the store wakes nobody".to_owned())
    } else if case.needs.contains(&Need::HandOver) && !can.hands_over {
        Some("needs HandOver: to the store these are two calls".to_owned())
    } else if case.needs.contains(&Need::Batches) && can.max_batch < 10 {
        Some(format!("needs Batches: the store takes {} at once", can.max_batch))
    } else {
        None
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}

/// Most of a case is waiting.
pub(crate) const AT_ONCE: usize = 8;
