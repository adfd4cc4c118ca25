//! A job that every machine's cron starts at the same minute, and that must run once: `cargo run --example cron`.
//!
//! The machines' clocks differ by a few seconds and the job may be short: without `lock_at_least` a late machine would
//! find the lock free again, and run the job a second time.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use golock_postgres::{FencingToken, LockOptions, Locker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let locker = golock_postgres::connect(&golock_examples::database_url()).await?;
    let outcome = job(&locker).await;
    // Also if it failed: what is yet to be given back would stay taken until its lease ends.
    locker.shutdown(Duration::from_secs(5)).await;
    outcome
}

async fn job(locker: &Locker) -> Result<(), Box<dyn Error>> {
    let nightly = LockOptions::new("nightly-report")
        .lock_at_least(Duration::from_secs(30)) // more than the clocks of the machines differ
        .lock_at_most(Duration::from_secs(600)); // more than the job ever takes

    // `run` would wait its turn, and each machine would write the report.
    match locker.try_run(nightly, |lock| write_report(lock.token())).await {
        Ok(written) => written,
        // Another machine runs it, or ran it a moment ago: that is what should happen.
        Err(refused) if refused.is_held() => {
            println!("not here: {refused}");
            Ok(())
        }
        // Among others: it took longer than the lease, and was dropped where it stood.
        Err(error) => Err(error.into()),
    }
}

async fn write_report(token: FencingToken) -> Result<(), Box<dyn Error>> {
    println!("writing the report under token {token}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}
