//! W4: a hundred tasks that wait for a name that stays taken, and how soon a waiter has a name that is freed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::meter::Meter;
use super::{Bench, Values, WAITERS, fresh_name, millis, patiently};
use crate::contender::{BoxError, Contender, Entry, Place, Role};
use crate::databases::Database;
use crate::options::Effort;
use crate::results::percentile;
use crate::say;

pub(super) async fn run(bench: &mut Bench<'_>) {
    let subject = bench.subject("W4", WAITERS);
    say(&format!("{} W4: {WAITERS} idle waiters, then wake-ups", subject.backend));
    let entries = bench.entries(Role::waits);
    let (database, url, effort) = (bench.database, bench.url, bench.effort);

    let Ok(mut round_trips) = database.round_trips(url, ROUND_TRIPS).await else { return };
    round_trips.drain(..ROUND_TRIPS / 10);
    let mut round_trips: Vec<f64> = round_trips.into_iter().map(millis).collect();
    let round_trip = percentile(&mut round_trips, 0.5);
    bench.results.add(subject, "one request", "round_trip_p50_ms", &[round_trip]);

    bench.in_turns(subject, &entries, async |entry| wakeups(url, entry, effort).await).await;
    for metric in ["wakeup_p50_ms", "wakeup_p99_ms"] {
        bench.results.compare(subject, metric, round_trip);
    }
    for entry in entries {
        match patiently(idle(database, url, entry, effort)).await {
            Ok(counted) => bench.add(subject, entry.label, &counted),
            Err(error) => bench.failed(subject, entry, &error),
        }
    }
}

/// From the call of unlock in one client until the lock is there in another, in which the other tasks wait for a name that
/// is not freed.
async fn wakeups(url: &str, entry: Entry, effort: Effort) -> Result<Values, BoxError> {
    let holders = (entry.open)(Place::new(url, 2)).await?;
    let waiters = (entry.open)(Place::new(url, WAITERS)).await?;
    let (kept, freed) = (fresh_name("kept"), fresh_name("freed"));
    let mut keeper = holders.client().await?;
    keeper.lock(&kept).await?;
    let _idle = wait(&waiters, WAITERS - 1, &kept).await?;

    let mut holder = holders.client().await?;
    let mut waiter = Some(waiters.client().await?);
    let mut took = Vec::new();
    let begun = Instant::now();
    while took.len() < effort.wakeups && begun.elapsed() < effort.wakeups_within {
        holder.lock(&freed).await?;
        let (mut client, name) = (waiter.take().ok_or("the waiter is gone")?, freed.clone());
        let waiting = tokio::spawn(async move {
            client.lock(&name).await?;
            Ok::<_, BoxError>((client, Instant::now()))
        });
        sleep(UNTIL_IT_WAITS).await;
        let unlocked = Instant::now();
        holder.unlock().await?;
        let (mut client, locked) = waiting.await??;
        client.unlock().await?;
        took.push(millis(locked.saturating_duration_since(unlocked)));
        waiter = Some(client);
    }
    Ok(vec![("wakeup_p50_ms", percentile(&mut took, 0.50)), ("wakeup_p99_ms", percentile(&mut took, 0.99))])
}

/// What waiters send while nothing happens, counted in several windows.
async fn idle(
    database: &dyn Database,
    url: &str,
    entry: Entry,
    effort: Effort,
) -> Result<Vec<Values>, BoxError> {
    let meter = Meter::start(database, url).await?;
    let holders = (entry.open)(Place::new(url, 1)).await?;
    let waiters = (entry.open)(Place::new(&meter.url, WAITERS)).await?;
    let name = fresh_name("kept");
    let mut holder = holders.client().await?;
    holder.lock(&name).await?;
    let _idle = wait(&waiters, WAITERS, &name).await?;

    let (start, mut windows) = (meter.requests().await?, Vec::new());
    for _ in 0..effort.repetitions {
        let (before, begun) = (meter.requests().await?, Instant::now());
        sleep(effort.idle).await;
        let sent = (meter.requests().await? - before) as f64;
        windows.push(vec![("idle_requests_per_s", sent / begun.elapsed().as_secs_f64())]);
    }
    if let Some(first) = windows.first_mut() {
        first.push(("idle_requests", (meter.requests().await? - start) as f64));
        first.push(("connections", meter.connections() as f64));
    }
    Ok(windows)
}

/// Starts so many tasks that wait for a name, until what is returned is dropped. Returns when they have settled.
async fn wait(contender: &Arc<dyn Contender>, tasks: usize, name: &str) -> Result<JoinSet<()>, BoxError> {
    let mut waiting = JoinSet::new();
    for _ in 0..tasks {
        let (mut client, name) = (contender.client().await?, name.to_owned());
        waiting.spawn(async move {
            // Whatever comes of it, it is over for this one.
            let _ = client.lock(&name).await;
        });
    }
    match timeout(SETTLED, waiting.join_next()).await {
        Err(_) => Ok(waiting),
        Ok(_) => Err("a waiter came to an end while the name was held".into()),
    }
}

const ROUND_TRIPS: usize = 500;
const UNTIL_IT_WAITS: Duration = Duration::from_millis(20);
const SETTLED: Duration = Duration::from_millis(700);
