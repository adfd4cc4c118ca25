//! Processes that share a file, and are killed and stopped: this test starts itself as the other processes.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use golock_core::store::ReleaseAnswer;
use golock_core::{FencingToken, LockOptions, LockStore, Locker, LostReason};
use golock_sqlite::SqliteStore;
use libtest_mimic::{Arguments, Trial};
use rusqlite::Connection;
use tokio::runtime::Runtime;

use calls::{LONG, grant, name, refused, release, taken, until};
use child::{Act, Child};
use place::Place;

mod calls;
mod child;
mod place;

fn main() -> ExitCode {
    if let Some(code) = child::act_if_asked() {
        return code;
    }
    macro_rules! tests {
        ($($test:ident),* $(,)?) => { vec![$(Trial::test(stringify!($test), || {
            Runtime::new()?.block_on($test());
            Ok(())
        })),*] };
    }
    let tests = tests![
        processes_exclude_one_another,
        the_schema_is_created_by_32_processes_at_once,
        a_killed_holder_keeps_its_lock_until_its_lease_ends,
        a_killed_transaction_leaves_nothing,
        tokens_increase_and_the_file_stays_whole_whenever_processes_are_killed,
        a_stopped_holder_is_lost_when_it_goes_on,
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

async fn processes_exclude_one_another() {
    let place = Place::new("exclude");
    let file = place.file("locks.db");
    let mut holder = Child::start(Act::Hold, &file, LONG);
    let token = holder.token();
    let store = SqliteStore::new(&file).unwrap();

    let holding = refused(&store, &name("shared")).await;
    assert_eq!((holding.token, holding.lock_by.as_str()), (token, "child"));
    assert_eq!(store.inspect(&name("shared")).await.unwrap().unwrap().token, token);

    holder.say("unlock");
    holder.until_it_says("unlocked");
    assert!(taken(&store, &name("shared"), grant(), LONG).await > token);
}

async fn the_schema_is_created_by_32_processes_at_once() {
    let place = Place::new("schema");
    let file = place.file("locks.db");
    let mut children: Vec<Child> = (0..32).map(|_| Child::start(Act::Ready, &file, LONG)).collect();
    for child in &mut children {
        child.until_it_says("waits");
    }
    for child in &mut children {
        child.say("go");
    }
    for child in &mut children {
        child.until_it_says("ready");
    }
    taken(&SqliteStore::new(&file).unwrap(), &name("shared"), grant(), LONG).await;
    check(&file);
}

async fn a_killed_holder_keeps_its_lock_until_its_lease_ends() {
    let place = Place::new("killed");
    let file = place.file("locks.db");
    let mut holder = Child::start(Act::Hold, &file, Duration::from_secs(2));
    let token = holder.token();
    holder.kill();

    let store = SqliteStore::new(&file).unwrap();
    assert_eq!(refused(&store, &name("shared")).await.token, token);
    until("the lease ends", async || store.inspect(&name("shared")).await.unwrap().is_none()).await;
    assert!(taken(&store, &name("shared"), grant(), LONG).await > token);
}

async fn a_killed_transaction_leaves_nothing() {
    let place = Place::new("transaction");
    let file = place.file("locks.db");
    let store = SqliteStore::new(&file).unwrap();
    let (shared, id) = (name("shared"), grant());
    let token = taken(&store, &shared, id, LONG).await;
    let mut writer = Child::start(Act::LeaveATransactionOpen, &file, LONG);
    writer.until_it_says("deleted everything");

    let releasing = tokio::spawn({
        let shared = shared.clone();
        async move { release(&store, &shared, id).await }
    });
    writer.kill();
    assert_eq!(releasing.await.unwrap().unwrap(), ReleaseAnswer::Released, "the row was there again");
    check(&file);
    assert!(taken(&SqliteStore::new(&file).unwrap(), &shared, grant(), LONG).await > token);
}

async fn tokens_increase_and_the_file_stays_whole_whenever_processes_are_killed() {
    let place = Place::new("crashes");
    let file = place.file("locks.db");
    let locker = Locker::new(SqliteStore::new(&file).unwrap());
    let start = || Child::start(Act::LockAndUnlock, &file, Duration::from_millis(300));
    let mut children: Vec<Child> = (0..3).map(|_| start()).collect();
    let mut seen = Vec::new();
    for round in 0..rounds() {
        let victim = round % children.len();
        let before = children[victim].token();
        // At another moment each round: in a transaction, in a sync, between two.
        std::thread::sleep(Duration::from_micros((round as u64 * 7_919) % 23_000));
        children[victim].kill();
        let granted = children[victim].tokens_left();
        assert!(granted.first().is_none_or(|next| *next > before), "{before}, then {granted:?}");
        assert!(granted.is_sorted_by(|a, b| a < b), "{granted:?}");
        seen.push(before);
        seen.extend(granted);
        children[victim] = start();

        // Whatever it held or was about to do: the next grant is free in time, and follows all that were seen.
        let lock = locker.lock(LockOptions::new("shared").lock_by("parent")).await.unwrap();
        let last = seen.iter().max().copied();
        assert!(last.is_none_or(|last| lock.token() > last), "{} does not follow {last:?}", lock.token());
        seen.push(lock.token());
        lock.unlock().await.unwrap();
        check(&file);
    }
    for mut child in children {
        child.kill();
        seen.extend(child.tokens_left());
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all, "a token was granted twice");
}

async fn a_stopped_holder_is_lost_when_it_goes_on() {
    let place = Place::new("stopped");
    let file = place.file("locks.db");
    let mut holder = Child::start(Act::Hold, &file, Duration::from_secs(1));
    let token = holder.token();
    holder.signal("STOP");

    let store = SqliteStore::new(&file).unwrap();
    until("the lease ends", async || store.inspect(&name("shared")).await.unwrap().is_none()).await;
    let new = taken(&store, &name("shared"), grant(), LONG).await;
    assert!(new > token);

    holder.signal("CONT");
    holder.say("unlock");
    holder.until_it_says(&format!("lost: {:?}", LostReason::Expired));
    assert_eq!(
        refused(&store, &name("shared")).await.token,
        new,
        "the stale holder freed the next one's lock"
    );
}

/// The file is whole: by SQLite's own check.
fn check(file: &Path) {
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(calls::GIVE_UP).unwrap();
    let found: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
    let newest: Option<i64> =
        connection.query_row("SELECT max(token) FROM golock", [], |row| row.get(0)).unwrap();
    assert!(newest.is_none_or(|newest| FencingToken::new(newest) > FencingToken::new(0)));
}

/// How often a process is killed: `GOLOCK_ROUNDS`, 20 by default.
fn rounds() -> usize {
    std::env::var("GOLOCK_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap())
}
