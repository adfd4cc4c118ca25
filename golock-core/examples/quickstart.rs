//! The life of a lock in ten seconds, on the in-memory store, with no server: `cargo run --example quickstart`.
//!
//! Two workers of one service want the same nightly report. On a database the only line that differs is the first
//! one: `let locker = golock_postgres::connect("postgres://…").await?;`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use golock_core::{FencingToken, LockOptions, Locker, MemoryStore};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Each process of a service has a locker of its own; here they share a store in memory.
    let store = MemoryStore::new();
    let (one, two) = (Locker::new(store.clone()), Locker::new(store));
    let report = |worker: &str| {
        LockOptions::new("nightly-report").lock_by(worker).lock_at_most(Duration::from_secs(3))
    };

    step("worker-1 takes the lock");
    let lock = one.try_lock(report("worker-1")).await?;
    say(format!("granted: {:?}, fencing token {}", lock.name(), lock.token()));

    step("worker-2 is refused, and told why");
    tokio::time::sleep(Duration::from_millis(700)).await;
    if let Err(refusal) = two.try_lock(report("worker-2")).await {
        say(refusal.to_string());
    }

    step("worker-1 renews its lease, so that it can finish");
    say(format!("{:.1} s remain", lock.remaining().as_secs_f64()));
    lock.extend(Duration::from_secs(5)).await?;
    say(format!("{:.1} s remain after the renewal", lock.remaining().as_secs_f64()));

    step("worker-2 waits, worker-1 unlocks");
    let waiting = tokio::spawn(async move { two.lock(report("worker-2")).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let unlocked = tokio::time::Instant::now();
    lock.unlock().await?;
    let lock = waiting.await??;
    say(format!("worker-2 has it {:.1?} later, with token {}", unlocked.elapsed(), lock.token()));

    step("worker-2 hangs for longer than its lease");
    let mut account = Account::default();
    let stale = lock.token();
    let reason = lock.lost().await;
    say(format!("lost() says: {reason}; is_held() is {}", lock.is_held()));

    step("worker-1 takes over and writes; worker-2 wakes up and writes too");
    let takeover = one.lock(report("worker-1")).await?;
    say(account.write("worker-1", takeover.token()));
    say(account.write("worker-2", stale));

    step("unlocking what was lost is an error; unlocking what is held is not");
    if let Err(lost) = lock.unlock().await {
        say(format!("worker-2: {lost}"));
    }
    takeover.unlock().await?;
    say("worker-1: unlocked".to_owned());
    Ok(())
}

/// A resource that checks fencing tokens: in SQL, `UPDATE … WHERE id = $1 AND fence <= $2`.
#[derive(Default)]
struct Account {
    newest: Option<FencingToken>,
}

impl Account {
    fn write(&mut self, who: &str, token: FencingToken) -> String {
        if self.newest > Some(token) {
            return format!("account: {who}'s write refused, its token {token} is stale");
        }
        self.newest = Some(token);
        format!("account: {who}'s write accepted under token {token}")
    }
}

fn step(title: &str) {
    println!("\n* {title}");
}

fn say(line: String) {
    println!("    {line}");
}
