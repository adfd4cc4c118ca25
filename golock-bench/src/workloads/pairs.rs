//! W1 and W2: tasks that lock and unlock, each a name of its own.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use super::meter::Meter;
use super::{Bench, Values, millis, patiently};
use crate::contender::{BoxError, Contender, Entry, Place, Role};
use crate::databases::Database;
use crate::results::percentile;
use crate::say;

pub(super) async fn run(bench: &mut Bench<'_>, workload: &str, tasks: usize) {
    let subject = bench.subject(workload, tasks);
    say(&format!("{} {workload}: {tasks} tasks, own names", subject.backend));
    let entries = bench.entries(Role::has_own_names);
    let (url, span) = (bench.url, bench.effort.span);
    let measure = async |entry: Entry| {
        let contender = (entry.open)(Place::new(url, tasks)).await?;
        pairs(&*contender, tasks, span).await
    };
    bench.in_turns(subject, &entries, measure).await;
    for metric in ["pairs_per_s", "pair_p50_ms", "pair_p99_ms"] {
        bench.results.compare_with(subject, metric, "raw");
    }
    for entry in entries {
        match patiently(count(bench.database, url, entry, tasks, span)).await {
            Ok(counted) => bench.add(subject, entry.label, &counted),
            Err(error) => bench.failed(subject, entry, &error),
        }
    }
}

async fn pairs(contender: &dyn Contender, tasks: usize, span: Duration) -> Result<Values, BoxError> {
    let mut clients = try_join_all((0..tasks).map(|_| contender.client())).await?;
    // Each name has its row and each connection its statements before the clock runs.
    try_join_all(clients.iter_mut().enumerate().map(async |(task, client)| {
        client.lock(&own_name(task)).await?;
        client.unlock().await
    }))
    .await?;

    let mut running = JoinSet::new();
    let start = Instant::now();
    for (task, mut client) in clients.into_iter().enumerate() {
        running.spawn(async move {
            let (name, mut took) = (own_name(task), Vec::new());
            loop {
                let begun = Instant::now();
                if begun >= start + span {
                    return Ok::<_, BoxError>(took);
                }
                client.lock(&name).await?;
                client.unlock().await?;
                took.push(millis(begun.elapsed()));
            }
        });
    }
    let mut took = Vec::new();
    while let Some(ended) = running.join_next().await {
        took.extend(ended??);
    }
    let rate = took.len() as f64 / start.elapsed().as_secs_f64();
    Ok(vec![
        ("pairs_per_s", rate),
        ("pair_p50_ms", percentile(&mut took, 0.50)),
        ("pair_p99_ms", percentile(&mut took, 0.99)),
    ])
}

/// What the proxy sees, which has no hurry: for one task the round trips a pair, for more the connections.
async fn count(
    database: &dyn Database,
    url: &str,
    entry: Entry,
    tasks: usize,
    span: Duration,
) -> Result<Vec<Values>, BoxError> {
    let meter = Meter::start(database, url).await?;
    let contender = (entry.open)(Place::new(&meter.url, tasks)).await?;
    if tasks > 1 {
        pairs(&*contender, tasks, span).await?;
        return Ok(vec![vec![("connections", meter.connections() as f64)]]);
    }
    let mut client = contender.client().await?;
    let mut counted = Vec::new();
    for group in 0..=GROUPS {
        let before = meter.round_trips();
        for _ in 0..PAIRS {
            client.lock(&own_name(0)).await?;
            client.unlock().await?;
        }
        let round_trips = (meter.round_trips() - before) as f64 / PAIRS as f64;
        // The first group prepares statements and fills pools.
        if group > 0 {
            counted.push(vec![("round_trips_per_pair", round_trips)]);
        }
    }
    Ok(counted)
}

const GROUPS: usize = 5;
const PAIRS: usize = 20;

fn own_name(task: usize) -> String {
    format!("own-{task}")
}
