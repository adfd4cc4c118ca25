//! A job that every machine's cron starts at the same minute, and that must run once: `cargo run --example cron`.
//!
//! The machines' clocks differ by a few seconds and the job may be short: without `lock_at_least` a late machine would
//! find the lock free again, and run the job a second time.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use golock_postgres::LockOptions;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let locker = golock_postgres::connect(&golock_examples::database_url()).await?;
    let nightly = LockOptions::new("nightly-report")
        .lock_at_least(Duration::from_secs(30)) // more than the clocks of the machines differ
        .lock_at_most(Duration::from_secs(600)); // more than the job ever takes

    match locker.try_lock(nightly).await {
        Ok(lock) => {
            println!("running the report under token {}", lock.token());
            write_report().await;
            lock.unlock().await?; // Err: it was lost before the report was done
        }
        // Another machine runs it, or ran it a moment ago: that is what should happen.
        Err(refused) if refused.is_held() => println!("not here: {refused}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn write_report() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}
