//! Acquires and releases of different names that are under way at the same time share calls: a lonely one is sent at
//! once, each is answered on its own, and one that spoils or holds up its batch costs the others little.

use std::time::Duration;

use golock_core::store::{Capabilities, Operation};
use golock_core::{Error, Lock, Locker, MemoryStore, StoreErrorKind};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Call, Fate, LEASE, Scripted, ms, options, secs, settle, taken_soon};

/// Shorter than the engine's patience with a call.
const ROUND_TRIP: Duration = ms(10);
/// Its patience, and a little.
const PATIENCE: Duration = ms(21);

fn job(number: usize) -> String {
    format!("job {number:03}")
}

fn try_locks(locker: &Locker, numbers: std::ops::Range<usize>) -> Vec<JoinHandle<Result<Lock, Error>>> {
    let lock = |number| {
        let locker = locker.clone();
        tokio::spawn(async move { locker.try_lock(options(&job(number))).await })
    };
    numbers.map(lock).collect()
}

async fn all(tasks: Vec<JoinHandle<Result<Lock, Error>>>) -> Vec<Result<Lock, Error>> {
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

/// A call is under way, and takes this long.
async fn occupied(
    store: &Scripted,
    locker: &Locker,
    round_trip: Duration,
) -> Vec<JoinHandle<Result<Lock, Error>>> {
    let before = store.count(Operation::Acquire);
    store.script(move |_| Fate::slow(round_trip));
    let tasks = try_locks(locker, 900..901);
    settle().await;
    assert_eq!(store.count(Operation::Acquire) - before, 1);
    tasks
}

#[tokio::test(start_paused = true)]
async fn lonely_request_is_sent_at_once() {
    let store = Scripted::new();
    store.script(|_| Fate::slow(ROUND_TRIP));
    let locker = Locker::new(store.clone());
    for number in 0..5 {
        let began = Instant::now();
        let lock = locker.try_lock(options(&job(number))).await.unwrap();
        assert_eq!(store.calls(Operation::Acquire)[number].at, began);
        assert!(began.elapsed() <= ROUND_TRIP + ms(1));
        let began = Instant::now();
        lock.unlock().await.unwrap();
        assert_eq!(store.calls(Operation::Release)[number].at, began);
    }
}

#[tokio::test(start_paused = true)]
async fn many_tasks_share_calls() {
    const TASKS: usize = 64;
    const ROUNDS: usize = 20;
    let store = Scripted::new();
    store.script(|_| Fate::slow(ROUND_TRIP));
    let locker = Locker::new(store.clone());
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let locker = locker.clone();
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    locker.try_lock(options(&job(number))).await.unwrap().unlock().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for operation in [Operation::Acquire, Operation::Release] {
        let calls = store.calls(operation);
        assert_eq!(calls.iter().map(|call| call.names.len()).sum::<usize>(), TASKS * ROUNDS);
        assert!(calls.len() <= 2 * ROUNDS, "{} calls of {operation} for {ROUNDS} rounds", calls.len());
        for call in &calls {
            assert!(
                call.names.windows(2).all(|two| two[0] < two[1]),
                "in order, none twice: {:?}",
                call.names
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn batches_are_as_large_as_the_store_takes() {
    let capabilities = Capabilities::new("small", 10, secs(5), true, i64::MAX).in_batches();
    let store = Scripted::with(MemoryStore::new(), capabilities);
    let locker = Locker::new(store.clone());
    let before = occupied(&store, &locker, ROUND_TRIP).await;
    let locks = all(try_locks(&locker, 0..64)).await;
    assert!(locks.iter().all(Result::is_ok));
    let sizes: Vec<_> = store.calls(Operation::Acquire).iter().map(|call| call.names.len()).collect();
    assert_eq!(sizes, [1, 10, 10, 10, 10, 10, 10, 4]);
    drop(before);
}

#[tokio::test(start_paused = true)]
async fn store_to_which_batches_mean_nothing_gets_a_call_each_at_once() {
    let capabilities = Capabilities::new("single", 500, secs(5), true, i64::MAX);
    let store = Scripted::with(MemoryStore::new(), capabilities);
    store.script(|_| Fate::slow(ms(200)));
    let locker = Locker::new(store.clone());
    let locks = all(try_locks(&locker, 0..64)).await;
    assert_eq!((store.count(Operation::Acquire), store.most_under_way()), (64, 64));
    drop(locks);
    settle().await;
    assert_eq!(store.count(Operation::Release), 64);
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_hold_up_nobody_for_long() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let held = locker.try_lock(options("held")).await.unwrap();
    let mut hanging = occupied(&store, &locker, LEASE).await;
    for number in 0..5 {
        let began = Instant::now();
        store.script(|_| Fate::FINE);
        let _lock = locker.try_lock(options(&job(number))).await.unwrap();
        assert!(began.elapsed() <= PATIENCE, "{:?}", began.elapsed());
        store.script(|_| Fate::HANG);
        hanging.extend(try_locks(&locker, 10 * number + 10..10 * number + 13));
        settle().await;
    }
    // Releases have a queue of their own.
    store.script(|_| Fate::FINE);
    let began = Instant::now();
    held.unlock().await.unwrap();
    assert_eq!(began.elapsed(), ms(0));
    hanging.iter().for_each(JoinHandle::abort);
}

/// One name spoils each batch that it is in.
async fn one_bad_name_costs_the_others_nothing(operation: Operation, spoiled: Fate, kind: StoreErrorKind) {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let before = occupied(&store, &locker, ROUND_TRIP).await;
    let script = move |call: &Call| {
        let is_bad = call.operation == operation && call.names.iter().any(|name| name.as_str() == job(7));
        if is_bad { spoiled } else { Fate::slow(ms(1)) }
    };
    store.script(script);
    let mut outcomes = all(try_locks(&locker, 0..64)).await;
    if operation == Operation::Release {
        let unlocks: Vec<_> =
            outcomes.into_iter().map(|lock| tokio::spawn(async { lock?.unlock().await })).collect();
        let mut unlocked = Vec::new();
        for unlock in unlocks {
            unlocked.push(unlock.await.unwrap());
        }
        check(unlocked, kind);
        assert!(store.count(Operation::Release) < 64 + 40);
    } else {
        let bad = outcomes.remove(7).unwrap_err();
        assert!(outcomes.iter().all(|lock| lock.as_ref().unwrap().is_held()));
        assert_eq!(kind_of(&bad), kind);
        assert!(store.calls(operation).iter().any(|call| call.names.len() > 20), "there was no batch");
    }
    drop(before);
    store.script(|_| Fate::FINE);
    let other = Locker::new(store.server.clone());
    taken_soon(&other, &job(7)).await.unlock().await.unwrap();
}

#[track_caller]
fn check(mut outcomes: Vec<Result<(), Error>>, kind: StoreErrorKind) {
    assert_eq!(kind_of(&outcomes.remove(7).unwrap_err()), kind);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[track_caller]
fn kind_of(error: &Error) -> StoreErrorKind {
    let Error::Store { source, .. } = error else { panic!("{error}") };
    source.kind()
}

#[tokio::test(start_paused = true)]
async fn acquire_that_spoils_its_batch_fails_alone() {
    use StoreErrorKind::{Conflict, Other, Timeout, TokenExhausted};
    for (fate, kind) in [
        (Fate::refused(TokenExhausted), TokenExhausted),
        (Fate::refused(Conflict), Conflict),
        (Fate::error(Other), Other),
        (Fate::error(Timeout), Timeout),
        (Fate::HANG, Timeout),
        (Fate::LOST_REPLY, Timeout),
        (Fate::PANIC, Other),
        (Fate::TOO_FEW, Other),
        (Fate::TOO_MANY, Other),
    ] {
        one_bad_name_costs_the_others_nothing(Operation::Acquire, fate, kind).await;
    }
}

#[tokio::test(start_paused = true)]
async fn release_that_spoils_its_batch_fails_alone() {
    use StoreErrorKind::{Other, Permission, Timeout};
    for (fate, kind) in [
        (Fate::refused(Permission), Permission),
        (Fate::error(Other), Other),
        (Fate::HANG, Timeout),
        (Fate::LOST_REPLY, Timeout),
        (Fate::PANIC, Other),
        (Fate::TOO_FEW, Other),
    ] {
        one_bad_name_costs_the_others_nothing(Operation::Release, fate, kind).await;
    }
}

/// Each is repeated under its own grant: nothing is granted twice, and nothing stays behind.
#[tokio::test(start_paused = true)]
async fn batch_whose_answer_was_lost_is_recognised_on_retry() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let before = occupied(&store, &locker, ROUND_TRIP).await;
    store.script_for(Operation::Acquire, [Fate::error(StoreErrorKind::Other)]);
    let locks = all(try_locks(&locker, 0..30)).await;
    let first = &store.calls(Operation::Acquire)[1];
    assert_eq!(first.names.len(), 30);
    for (lock, number) in locks.into_iter().zip(0..) {
        let lock = lock.unwrap();
        let row = locker.inspect(&job(number)).await.unwrap().unwrap();
        assert_eq!(
            (row.token, row.held_for),
            (lock.token(), first.at.elapsed()),
            "granted by the first call"
        );
        lock.unlock().await.unwrap();
    }
    drop(before);
    sleep(secs(20)).await;
    assert_eq!(locker.list("").await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn batch_that_fails_for_a_reason_of_all_is_not_tried_in_parts() {
    use StoreErrorKind::{
        Authentication, Configuration, Connection, ReadOnly, SchemaMissing, Tls, Unavailable,
    };
    let of_all = [Unavailable, Connection, Authentication, Configuration, ReadOnly, SchemaMissing, Tls];
    for kind in of_all {
        let store = Scripted::new();
        let locker = Locker::new(store.clone());
        let before = occupied(&store, &locker, ROUND_TRIP).await;
        store.script_for(Operation::Acquire, [Fate::refused(kind); 2]);
        for lock in all(try_locks(&locker, 0..30)).await {
            assert_eq!(kind_of(&lock.unwrap_err()), kind);
        }
        assert_eq!(store.count(Operation::Acquire), 2);
        drop(before);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_wanted_is_not_sent() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let before = occupied(&store, &locker, ROUND_TRIP).await;
    for task in try_locks(&locker, 0..10) {
        settle().await;
        task.abort();
    }
    sleep(secs(20)).await;
    assert_eq!((store.count(Operation::Acquire), store.count(Operation::Release)), (1, 0), "{}", store.log());
    drop(before);
}

/// Callers go away while their batch is under way, and then has to be tried in parts.
#[tokio::test(start_paused = true)]
async fn what_is_no_longer_wanted_of_a_failed_batch_is_undone() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let before = occupied(&store, &locker, ROUND_TRIP).await;
    let mut tasks = try_locks(&locker, 0..10);
    settle().await;
    store.script_for(Operation::Acquire, [Fate::error(StoreErrorKind::Other).answering(ms(5))]);
    sleep(ROUND_TRIP + ms(1)).await;
    assert_eq!(store.count(Operation::Acquire), 2);
    let rest = tasks.split_off(5);
    tasks.iter().for_each(JoinHandle::abort);
    let locks = all(rest).await;
    assert!(locks.iter().all(Result::is_ok));
    settle().await;
    let held: Vec<_> = store_names(&locker).await;
    assert_eq!(held, (5..10).map(job).chain((900..901).map(job)).collect::<Vec<_>>());
    drop((before, locks));
}

async fn store_names(locker: &Locker) -> Vec<String> {
    locker.list("").await.unwrap().into_iter().map(|info| info.name.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn belief_counts_from_when_the_batch_was_sent() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let before = occupied(&store, &locker, ROUND_TRIP).await;
    sleep(ms(5)).await;
    let locks = all(try_locks(&locker, 0..3)).await;
    let sent = store.calls(Operation::Acquire)[1].at;
    for lock in locks {
        assert_eq!(lock.unwrap().remaining(), LEASE - LEASE / 100 - sent.elapsed());
    }
    drop(before);
}

/// A shutdown neither sends what only waits, nor forgets what has to be given back.
#[tokio::test(start_paused = true)]
async fn shutdown_finishes_releases_that_gather() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let locks = all(try_locks(&locker, 0..100)).await;
    store.script(|_| Fate::slow(ROUND_TRIP));
    let asking = try_locks(&locker, 200..300);
    settle().await;
    drop(locks);
    assert_eq!(timeout(secs(5), locker.shutdown(secs(10))).await.unwrap(), 0);
    for outcome in all(asking).await {
        assert!(matches!(outcome, Err(Error::Closed)), "{outcome:?}");
    }
    settle().await;
    assert_eq!(Locker::new(store.server.clone()).list("").await.unwrap(), []);
}

/// Undos of one name gather while the store is away: of these only one at a time is sent.
#[tokio::test(start_paused = true)]
async fn many_undos_of_one_name_keep_no_other_waiting() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let other = locker.try_lock(options("other")).await.unwrap();
    store.script(|call| if call.operation == Operation::Acquire { Fate::BROKEN } else { Fate::HANG });
    for _ in 0..2_000 {
        locker.try_lock(options("job").lock_at_most(secs(3600))).await.unwrap_err();
    }
    store.script(|_| Fate::slow(ms(10)));
    let began = Instant::now();
    other.unlock().await.unwrap();
    assert!(began.elapsed() < ms(100), "{:?}", began.elapsed());
}
