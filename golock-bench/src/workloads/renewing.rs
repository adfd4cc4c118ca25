//! W5: thousands of leases that are renewed in the background.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::sleep;

use super::meter::Meter;
use super::{Bench, Values, patiently};
use crate::contender::{BoxError, Entry, Place, Renewed};
use crate::databases::Database;
use crate::options::Effort;
use crate::{heap, say};

pub(super) async fn run(bench: &mut Bench<'_>) {
    let leases = bench.effort.leases;
    let subject = bench.subject("W5", leases);
    say(&format!("{} W5: {leases} renewed leases", subject.backend));
    let renewing = bench.database.contenders().iter().copied().filter(|entry| entry.renews);
    let (database, url, effort) = (bench.database, bench.url, bench.effort);
    for entry in renewing {
        match patiently(renewed(database, url, entry, effort)).await {
            Ok(measured) => bench.add(subject, entry.label, &measured),
            Err(error) => bench.failed(subject, entry, &error),
        }
    }
}

/// Windows of a third of the lease, the time in which each is to be renewed once.
async fn renewed(
    database: &dyn Database,
    url: &str,
    entry: Entry,
    effort: Effort,
) -> Result<Vec<Values>, BoxError> {
    let meter = Meter::start(database, url).await?;
    let place = Place::new(&meter.url, AT_ONCE).with_lease(effort.lease);
    let contender = (entry.open)(place).await?;
    let names: Vec<String> = (0..effort.leases).map(|number| format!("lease-{number:08}")).collect();
    // Connections, prepared statements and caches are not the leases'.
    stream::iter(&names[..AT_ONCE.min(names.len())])
        .map(async |name| contender.renewed(name).await?.release().await)
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;

    let mut held: Vec<Box<dyn Renewed>> = Vec::with_capacity(effort.leases);
    let before = heap();
    let mut locking =
        stream::iter(&names).map(async |name| contender.renewed(name).await).buffer_unordered(AT_ONCE);
    while let Some(lock) = locking.next().await {
        held.push(lock?);
    }
    drop(locking);
    // What was in flight has been answered, and a first renewal may have begun.
    sleep(Duration::from_millis(200)).await;
    let bytes = heap().saturating_sub(before) as f64 / effort.leases as f64;

    // From the second third on all have been renewed once.
    sleep(effort.lease / 3).await;
    let mut windows = Vec::new();
    for _ in 0..effort.repetitions {
        let (sent, begun) = (meter.requests().await?, Instant::now());
        sleep(effort.lease / 3).await;
        let sent = (meter.requests().await? - sent) as f64;
        windows.push(vec![("requests_per_s", sent / begun.elapsed().as_secs_f64())]);
    }
    let lost = held.iter().filter(|lock| !lock.is_held()).count();
    if let Some(first) = windows.first_mut() {
        first.extend([("heap_bytes_a_lease", bytes), ("lost", lost as f64)]);
    }
    stream::iter(held).map(|lock| lock.release()).buffer_unordered(AT_ONCE).for_each(async |_| {}).await;
    Ok(windows)
}

/// How many tasks lock and unlock at the same time.
const AT_ONCE: usize = 64;
