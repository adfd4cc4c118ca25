//! W6: how long golock takes to acquire a name in a small and in a large table.

use std::time::Instant;

use super::{Bench, Values, patiently};
use crate::contender::{BoxError, Client, Entry, Place, Role};
use crate::databases::{Database, row};
use crate::options::Effort;
use crate::results::percentile;
use crate::say;

pub(super) async fn run(bench: &mut Bench<'_>) {
    let subject = bench.subject("W6", 1);
    let [small, large] = bench.effort.rows;
    say(&format!("{} W6: {small} and {large} rows", subject.backend));
    let (database, url, effort) = (bench.database, bench.url, bench.effort);
    for entry in bench.entries(|role| role == Role::Golock) {
        match patiently(measured(database, url, entry, effort)).await {
            Ok([small, large]) => {
                bench.add(subject, &label(effort.rows[0]), &small);
                bench.add(subject, &label(effort.rows[1]), &large);
                bench.results.compare_with(subject, "acquire_p50_ms", &label(effort.rows[0]));
            }
            Err(error) => bench.failed(subject, entry, &error),
        }
    }
}

/// The contender's name in the results.
pub(crate) fn label(rows: usize) -> String {
    format!("golock, {rows} rows")
}

/// The two tables take turns.
async fn measured(
    database: &dyn Database,
    url: &str,
    entry: Entry,
    effort: Effort,
) -> Result<[Vec<Values>; 2], BoxError> {
    let mut clients = Vec::new();
    for rows in effort.rows {
        let space = format!("bench_rows_{rows}");
        let contender = (entry.open)(Place::new(url, 1).in_space(&space)).await?;
        let mut client = contender.client().await?;
        // Its table is there after the first lock.
        client.lock("first").await?;
        client.unlock().await?;
        database.fill(url, &space, rows).await?;
        // Not counted: what is read for the first time.
        acquires(&mut *client, rows, effort.acquires, 0).await?;
        clients.push((client, rows));
    }
    let mut measured = [Vec::new(), Vec::new()];
    for repetition in 1..=effort.repetitions {
        for turn in 0..clients.len() {
            let index = (turn + repetition) % clients.len();
            let (client, rows) = &mut clients[index];
            let mut took = acquires(&mut **client, *rows, effort.acquires, repetition).await?;
            measured[index].push(vec![
                ("acquire_p50_ms", percentile(&mut took, 0.50)),
                ("acquire_p99_ms", percentile(&mut took, 0.99)),
            ]);
        }
    }
    Ok(measured)
}

/// Locks and unlocks rows from all over the table; the times of the locks.
async fn acquires(
    client: &mut dyn Client,
    rows: usize,
    times: usize,
    seed: usize,
) -> Result<Vec<f64>, BoxError> {
    let mut took = Vec::with_capacity(times);
    for time in 0..times {
        // A large prime: no row twice in a row, none near the one before.
        let number = (time + seed * times).wrapping_mul(2_654_435_761) % rows;
        let begun = Instant::now();
        client.lock(&row(number)).await?;
        took.push(super::millis(begun.elapsed()));
        client.unlock().await?;
    }
    Ok(took)
}
