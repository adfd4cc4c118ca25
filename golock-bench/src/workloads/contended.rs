//! W3 in one process: tasks that lock and unlock the same name.

use std::time::{Duration, SystemTime};

use futures_util::future::try_join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::meter::Meter;
use super::{Bench, Values, fresh_name, patiently};
use crate::contender::{BoxError, Contender, Entry, Place, Role};
use crate::databases::Database;
use crate::say;

pub(super) async fn run(bench: &mut Bench<'_>, tasks: usize) {
    let subject = bench.subject("W3", tasks);
    say(&format!("{} W3: {tasks} tasks, one name", subject.backend));
    let entries = bench.entries(Role::waits);
    let (url, span) = (bench.url, bench.effort.span);
    let measure = async |entry: Entry| {
        let contender = (entry.open)(Place::new(url, tasks)).await?;
        warm_up(&*contender, tasks).await?;
        let grants = contended(&*contender, tasks, &fresh_name("one"), span).await?;
        Ok(values(&grants, tasks, span))
    };
    bench.in_turns(subject, &entries, measure).await;
    bench.results.compare_with_best(subject, "handoffs_per_s");
    for entry in entries {
        match patiently(requests(bench.database, url, entry, tasks, span)).await {
            Ok(counted) => bench.add(subject, entry.label, &[counted]),
            Err(error) => bench.failed(subject, entry, &error),
        }
    }
}

/// That a task had the lock.
pub(super) struct Grant {
    pub(super) task: usize,
    /// Nanoseconds since 1970.
    pub(super) at: u64,
}

/// Every grant within `span`. Who waits at its end is broken off.
pub(super) async fn contended(
    contender: &dyn Contender,
    tasks: usize,
    name: &str,
    span: Duration,
) -> Result<Vec<Grant>, BoxError> {
    let clients = try_join_all((0..tasks).map(|_| contender.client())).await?;
    let mut running = JoinSet::new();
    let end = Instant::now() + span;
    for (task, mut client) in clients.into_iter().enumerate() {
        let name = name.to_owned();
        running.spawn(async move {
            let mut grants = Vec::new();
            while Instant::now() < end {
                match timeout_at(end, client.lock(&name)).await {
                    Ok(locked) => locked?,
                    Err(_) => break,
                }
                grants.push(Grant { task, at: now() });
                client.unlock().await?;
            }
            Ok::<_, BoxError>(grants)
        });
    }
    let mut grants = Vec::new();
    while let Some(ended) = running.join_next().await {
        grants.extend(ended??);
    }
    Ok(grants)
}

fn values(grants: &[Grant], tasks: usize, span: Duration) -> Values {
    let mut turns = vec![0_u32; tasks];
    for grant in grants {
        turns[grant.task] += 1;
    }
    let (most, fewest) = (turns.iter().max().copied(), turns.iter().min().copied());
    vec![
        ("handoffs_per_s", grants.len() as f64 / span.as_secs_f64()),
        ("grants_a_task_spread", f64::from(most.unwrap_or_default() - fewest.unwrap_or_default())),
    ]
}

/// Has a few tasks wait for one another: connections are open, statements prepared, and who listens listens.
pub(super) async fn warm_up(contender: &dyn Contender, tasks: usize) -> Result<(), BoxError> {
    contended(contender, tasks.min(4), &fresh_name("warm-up"), Duration::from_millis(100)).await.map(drop)
}

/// Requests a hand-off.
async fn requests(
    database: &dyn Database,
    url: &str,
    entry: Entry,
    tasks: usize,
    span: Duration,
) -> Result<Values, BoxError> {
    let meter = Meter::start(database, url).await?;
    let contender = (entry.open)(Place::new(&meter.url, tasks)).await?;
    warm_up(&*contender, tasks).await?;
    let before = meter.requests().await?;
    let grants = contended(&*contender, tasks, &fresh_name("one"), span * 2).await?.len();
    let requests = meter.requests().await? - before;
    Ok(vec![("requests_per_handoff", requests as f64 / grants as f64)])
}

/// Nanoseconds since 1970: comparable between the processes of one machine.
#[allow(
    clippy::disallowed_methods,
    reason = "its processes share this machine's clock, and nobody sets it meanwhile"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
