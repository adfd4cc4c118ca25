//! A `Lock` dropped wherever a value may be dropped: no panic, no block; the name is free at once while the keeper's
//! runtime lives, else when the lease ends (S19). In real time, on real threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use golock_core::{Error, Lock, Locker, LostReason, MemoryStore};
use tokio::runtime::{Builder, Runtime};

use crate::common::{LEASE, ms, options, poll_once};

fn single() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn multi() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

async fn hold(locker: &Locker) -> Lock {
    locker.try_lock(options("job").auto_renew(true)).await.unwrap()
}

/// Much sooner than the lease ends.
async fn is_freed(other: &Locker) {
    let lock = other.lock(options("job").wait(LEASE / 3)).await;
    lock.expect("the name was not freed").unlock().await.unwrap();
}

fn takes_no_time(drop_it: impl FnOnce()) {
    let began = Instant::now();
    drop_it();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn in_a_runtime() {
    for runtime in [single(), multi()] {
        runtime.block_on(async {
            let store = MemoryStore::new();
            let (locker, other) = (Locker::new(store.clone()), Locker::new(store));
            let lock = hold(&locker).await;
            takes_no_time(|| drop(lock));
            is_freed(&other).await;
            let lock = hold(&locker).await;
            tokio::spawn(async move { drop(lock) }).await.unwrap();
            is_freed(&other).await;
        });
    }
}

#[test]
fn on_a_plain_thread_without_a_runtime() {
    let runtime = multi();
    let store = MemoryStore::new();
    let (locker, other) = runtime.block_on(async { (Locker::new(store.clone()), Locker::new(store)) });
    let lock = runtime.block_on(hold(&locker));
    thread::spawn(move || takes_no_time(|| drop(lock))).join().unwrap();
    runtime.block_on(is_freed(&other));
}

#[test]
fn on_a_plain_thread_while_the_only_thread_of_its_runtime_is_busy() {
    let runtime = single();
    let store = MemoryStore::new();
    let (locker, other) = runtime.block_on(async { (Locker::new(store.clone()), Locker::new(store)) });
    let lock = runtime.block_on(hold(&locker));
    // Nobody drives the runtime here.
    thread::spawn(move || takes_no_time(|| drop(lock))).join().unwrap();
    runtime.block_on(is_freed(&other));
}

#[test]
fn while_panicking() {
    let runtime = multi();
    runtime.block_on(async {
        let store = MemoryStore::new();
        let (locker, other) = (Locker::new(store.clone()), Locker::new(store));
        let lock = hold(&locker).await;
        let panic = catch_unwind(AssertUnwindSafe(move || {
            let _lock = lock;
            panic!("as the test says");
        }));
        assert!(panic.is_err());
        is_freed(&other).await;

        let lock = hold(&locker).await;
        let task = tokio::spawn(async move {
            let _lock = lock;
            panic!("as the test says");
        });
        assert!(task.await.unwrap_err().is_panic());
        is_freed(&other).await;

        let work = async |_| panic!("as the test says");
        let running = tokio::spawn({
            let locker = locker.clone();
            async move { locker.run::<(), _, _>(options("job"), work).await }
        });
        assert!(running.await.unwrap_err().is_panic());
        is_freed(&other).await;
    });
}

#[test]
fn in_another_runtime_than_the_keepers() {
    let (keepers, others) = (multi(), single());
    let store = MemoryStore::new();
    let (locker, other) = keepers.block_on(async { (Locker::new(store.clone()), Locker::new(store)) });
    others.block_on(async {
        let lock = hold(&locker).await;
        drop(lock);
        is_freed(&other).await;
        hold(&locker).await.unlock().await.unwrap();
    });
}

#[test]
fn after_the_runtime_that_built_its_locker_has_ended() {
    let (first, second) = (multi(), single());
    let store = MemoryStore::new();
    let locker = first.block_on(async { Locker::new(store.clone()) });
    let wanted = || options("job").lock_at_most(ms(600)).auto_renew(true);
    let dropped = first.block_on(locker.try_lock(wanted())).unwrap();
    let unlocked = first.block_on(locker.try_lock(options("other").lock_at_most(ms(600)))).unwrap();
    let other = second.block_on(async { Locker::new(store) });
    drop(first);

    assert!(dropped.is_held());
    let watch = dropped.watch();
    takes_no_time(|| drop(dropped));
    assert!(!watch.is_held(), "given back, as far as it knows");
    let mut unlocking = Box::pin(unlocked.unlock());
    assert!(matches!(poll_once(unlocking.as_mut()), std::task::Poll::Ready(Err(Error::Closed))));
    second.block_on(async {
        assert!(other.try_lock(options("job")).await.unwrap_err().is_held());
        other.lock(options("job")).await.unwrap().unlock().await.unwrap();
    });
    thread::spawn(move || takes_no_time(|| drop(locker))).join().unwrap();
}

#[test]
fn by_a_runtime_that_ends_with_locks_waiters_and_calls_in_its_tasks() {
    for runtime in [single(), multi()] {
        let store = MemoryStore::new();
        let locker = runtime.block_on(async { Locker::new(store.clone()) });
        runtime.block_on(async {
            let lock = hold(&locker).await;
            tokio::spawn(async move { lock.lost().await });
            let waits = locker.clone();
            tokio::spawn(async move { waits.lock(options("job")).await.map(drop) });
            let runs = locker.clone();
            tokio::spawn(async move { runs.run(options("other"), async |lock| lock.lost().await).await });
            tokio::time::sleep(ms(20)).await;
        });
        takes_no_time(|| drop(runtime));
        let mut asking = Box::pin(locker.inspect("job"));
        assert!(matches!(poll_once(asking.as_mut()), std::task::Poll::Ready(Err(Error::Closed))));
    }
}

#[test]
fn on_many_threads_at_once() {
    let runtime = multi();
    let store = MemoryStore::new();
    let (locker, other) = runtime.block_on(async { (Locker::new(store.clone()), Locker::new(store)) });
    for _ in 0..20 {
        let locks: Vec<_> = (0..50)
            .map(|number| runtime.block_on(locker.try_lock(options(&format!("job {number}")))).unwrap())
            .collect();
        thread::scope(|scope| {
            for lock in locks {
                scope.spawn(move || drop(lock));
            }
        });
    }
    runtime.block_on(async {
        for number in 0..50 {
            let lock = other.lock(options(&format!("job {number}")).wait(LEASE / 3)).await.unwrap();
            lock.unlock().await.unwrap();
        }
    });
}

/// The deadline passes on the holder's thread while the keeper may be renewing, and the lock is given back.
#[test]
fn in_the_moment_of_its_deadline() {
    let runtime = multi();
    let store = MemoryStore::new();
    let locker = runtime.block_on(async { Locker::new(store) });
    for round in 0..40_u64 {
        let wanted = options("job").lock_at_most(ms(30)).auto_renew(round % 2 == 0);
        let lock = runtime.block_on(locker.lock(wanted)).unwrap();
        thread::sleep(Duration::from_micros(27_000 + round * 100));
        match lock.is_held() {
            true => drop(lock),
            false => assert_eq!(runtime.block_on(lock.lost()), LostReason::Expired),
        }
    }
}
