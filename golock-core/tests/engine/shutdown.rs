//! The end of a locker: by `shutdown`, when its last handle goes, or with its runtime.

use std::sync::{Arc, Weak};

use golock_core::store::Operation;
use golock_core::{Error, Lock, LockStore, Locker, LostReason, MemoryStore};
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Fate, LEASE, SOON, Scripted, ms, options, secs, settle, taken_soon, until};

#[tokio::test(start_paused = true)]
async fn shutdown_of_an_idle_locker_ends_at_once_and_closes_it() {
    let locker = Locker::new(Scripted::new());
    let began = Instant::now();
    assert_eq!(locker.shutdown(LEASE).await, 0);
    assert_eq!(began.elapsed(), ms(0));
    assert_eq!(locker.clone().shutdown(LEASE).await, 0, "again");
    assert_closed(&locker).await;
}

#[tokio::test(start_paused = true)]
async fn new_calls_are_closed_while_held_locks_live_on() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
    let closing = tokio::spawn({
        let locker = locker.clone();
        async move { locker.shutdown(LEASE * 10).await }
    });
    settle().await;
    assert_closed(&locker).await;

    sleep(LEASE * 3).await;
    assert!(lock.is_held(), "renewed");
    lock.extend(LEASE * 2).await.unwrap();
    assert!(!closing.is_finished());
    lock.unlock().await.unwrap();
    assert_eq!(closing.await.unwrap(), 0);
    taken_soon(&Locker::new(store), "job").await.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn everybody_in_line_hears_of_it_at_once() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job")).await.unwrap();
    for stage in (0..200).step_by(10) {
        let closed = Locker::new(store.clone());
        store.script(|_| Fate::slow(ms(40)));
        let waiters = [0; 3].map(|_| {
            let closed = closed.clone();
            tokio::spawn(async move { closed.lock(options("job")).await.map(drop) })
        });
        sleep(ms(stage)).await;
        let began = Instant::now();
        let left = tokio::spawn(async move { closed.shutdown(LEASE).await });
        for waiter in waiters {
            assert!(matches!(waiter.await.unwrap(), Err(Error::Closed)));
        }
        assert_eq!(began.elapsed(), ms(0));
        assert_eq!(left.await.unwrap(), 0);
        assert!(began.elapsed() <= ms(80), "what was under way is finished, no more");
    }
    store.script(|_| Fate::FINE);
    drop(lock);
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn acquire_under_way_at_shutdown_is_undone() {
    let store = Scripted::new();
    store.script_for(Operation::Acquire, [Fate::slow(secs(2))]);
    let (closed, other) = (Locker::new(store.clone()), Locker::new(store));
    let waiter = tokio::spawn({
        let closed = closed.clone();
        async move { closed.lock(options("job")).await.map(drop) }
    });
    settle().await;
    assert_eq!(closed.shutdown(LEASE).await, 0);
    assert!(matches!(waiter.await.unwrap(), Err(Error::Closed)));
    other.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn locks_left_at_the_timeout_are_counted_and_lost_in_time() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let mut locks = Vec::new();
    for name in ["a", "b", "c", "d"] {
        locks.push(locker.try_lock(options(name).auto_renew(true)).await.unwrap());
    }
    let forgotten = locker.try_lock(options("e").lock_at_most(secs(2))).await.unwrap();
    locks.pop().unwrap().unlock().await.unwrap();
    let began = Instant::now();

    assert_eq!(locker.shutdown(secs(5)).await, 3, "one was given back, one ran out");

    assert_eq!(began.elapsed(), secs(5));
    assert!(!forgotten.is_held());
    let calls = store.total();
    assert!(locks.iter().all(Lock::is_held));
    for lock in &locks {
        assert_eq!(lock.lost().await, LostReason::Expired);
    }
    assert!(began.elapsed() < LEASE);
    assert_eq!(store.total(), calls, "nothing is renewed any more");
    for lock in locks {
        assert!(lock.unlock().await.unwrap_err().is_lost());
    }
}

/// An extension whose answer never came has prolonged it on the server.
#[tokio::test(start_paused = true)]
async fn lost_lock_is_given_back_before_the_end() {
    let store = Scripted::new();
    store.script_for(Operation::Renew, [Fate::LOST_REPLY]);
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").lock_at_most(secs(1))).await.unwrap();
    assert!(lock.extend(LEASE).await.unwrap_err().is_lost());
    let closing = tokio::spawn(async move { locker.shutdown(LEASE * 2).await });
    sleep(secs(5)).await;
    assert!(!closing.is_finished());
    let other = Locker::new(store);
    assert!(other.try_lock(options("job")).await.unwrap_err().is_held());
    drop(lock);
    assert_eq!(closing.await.unwrap(), 0);
    other.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lost_lock_that_nobody_gives_back_is_waited_for_until_its_lease_is_over() {
    let locker = Locker::new(Scripted::new());
    let began = Instant::now();
    let lock = locker.try_lock(options("job").lock_at_most(secs(2))).await.unwrap();
    assert_eq!(lock.lost().await, LostReason::Expired);
    assert!(began.elapsed() < secs(2));
    assert_eq!(locker.shutdown(LEASE).await, 0);
    assert_eq!(began.elapsed(), secs(2));
}

#[tokio::test(start_paused = true)]
async fn unlock_after_the_end_says_closed_and_the_lease_frees_the_name() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job")).await.unwrap();
    assert_eq!(locker.shutdown(secs(1)).await, 1);
    assert!(matches!(lock.extend(LEASE).await, Err(Error::Closed)));
    assert!(matches!(lock.unlock().await, Err(Error::Closed)));
    let next = Locker::new(store).lock(options("job")).await.unwrap();
    assert!(next.is_held());
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_releases_that_have_to_be_repeated() {
    let store = Scripted::new();
    store.script_for(Operation::Release, [Fate::BROKEN; 4]);
    let (locker, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    drop(locker.try_lock(options("job")).await.unwrap());
    assert_eq!(locker.shutdown(LEASE).await, 0);
    assert_eq!(store.count(Operation::Release), 5);
    other.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
}

/// Whatever else the keeper looks at in the moment in which a lock is given back.
#[tokio::test(start_paused = true)]
async fn lock_given_back_during_shutdown_is_released_before_the_end() {
    for by_drop in [false, true] {
        let store = Scripted::new();
        let locker = Locker::new(store.clone());
        let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
        let closing = tokio::spawn(async move { locker.shutdown(LEASE * 10).await });
        // In the very moment in which a renewal is due.
        sleep(LEASE / 3).await;
        match by_drop {
            true => drop(lock),
            false => lock.unlock().await.unwrap(),
        }
        assert_eq!(closing.await.unwrap(), 0);
        assert_eq!(store.count(Operation::Release), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn several_shutdowns_end_with_the_earliest() {
    let locker = Locker::new(Scripted::new());
    let _lock = locker.try_lock(options("job")).await.unwrap();
    let (long, short) = (locker.clone(), locker);
    let began = Instant::now();
    let (one, other) = tokio::join!(long.shutdown(secs(30)), short.shutdown(secs(3)));
    assert_eq!((one, other), (1, 1));
    assert_eq!(began.elapsed(), secs(3));

    let locker = Locker::new(Scripted::new());
    let _lock = locker.try_lock(options("job")).await.unwrap();
    let (short, long) = (locker.clone(), locker);
    let began = Instant::now();
    tokio::join!(short.shutdown(secs(3)), long.shutdown(secs(30)));
    assert_eq!(began.elapsed(), secs(3));
}

/// The keeper holds the store: when it ends, nobody does.
fn keeper_of(store: &Arc<Scripted>) -> Weak<Scripted> {
    Arc::downgrade(store)
}

#[tokio::test(start_paused = true)]
async fn keeper_ends_when_the_last_handle_is_gone_after_finishing_releases() {
    let store = Arc::new(Scripted::new());
    let server = store.server.clone();
    store.script_for(Operation::Release, [Fate::BROKEN, Fate::BROKEN_AFTER, Fate::slow(ms(40))]);
    let keeper = keeper_of(&store);
    let locker = Locker::new(store);
    let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
    drop(locker);
    sleep(LEASE * 2).await;
    assert!(lock.is_held(), "a lock keeps the keeper alive");

    drop(lock);

    until("the keeper ends", || keeper.strong_count() == 0).await;
    assert_eq!(server.inspect(&crate::common::name("job")).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn keeper_ends_when_its_last_caller_was_dropped_while_it_asked() {
    let store = Arc::new(Scripted::new());
    let server = store.server.clone();
    store.script(|_| Fate::slow(secs(1)));
    let keeper = keeper_of(&store);
    let locker = Locker::new(store);
    let caller = tokio::spawn(async move { locker.lock(options("job")).await.map(drop) });
    sleep(ms(100)).await;
    caller.abort();
    let began = Instant::now();
    until("the keeper ends", || keeper.strong_count() == 0).await;
    assert!(began.elapsed() < SOON);
    assert_eq!(server.inspect(&crate::common::name("job")).await.unwrap(), None);
}

#[test]
fn everything_is_closed_once_the_runtime_has_ended() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let first = runtime();
    let (locker, lock, waiting) = first.block_on(async {
        let locker = Locker::new(Scripted::new());
        let lock = locker.try_lock(options("job").lock_at_most(ms(200))).await.unwrap();
        let waiting = {
            let locker = locker.clone();
            async move { locker.lock(options("job")).await.map(drop) }
        };
        (locker, lock, waiting)
    });
    let mut waiting = Box::pin(waiting);
    assert!(crate::common::poll_once(waiting.as_mut()).is_pending());
    drop(first);

    assert!(lock.is_held());
    runtime().block_on(async {
        assert!(matches!(waiting.await, Err(Error::Closed)));
        assert_closed(&locker).await;
        assert!(matches!(lock.extend(LEASE).await, Err(Error::Closed)));
        assert_eq!(lock.lost().await, LostReason::Expired, "the deadline needs no keeper");
        assert_eq!(locker.shutdown(LEASE).await, 0);
    });
}

async fn assert_closed(locker: &Locker) {
    assert!(matches!(locker.try_lock(options("other")).await, Err(Error::Closed)));
    assert!(matches!(locker.lock(options("other")).await, Err(Error::Closed)));
    assert!(matches!(locker.run(options("other"), async |_| ()).await, Err(Error::Closed)));
    assert!(matches!(locker.inspect("other").await, Err(Error::Closed)));
    assert!(matches!(locker.list("").await, Err(Error::Closed)));
    assert!(matches!(locker.revoke("other").await, Err(Error::Closed)));
    assert!(matches!(locker.force_unlock("other").await, Err(Error::Closed)));
    assert!(matches!(locker.purge(LEASE).await, Err(Error::Closed)));
}

/// Threads of their own, for it is a race of threads: a call is sent while the keeper ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_are_made_while_the_keeper_ends_are_told() {
    for _ in 0..2_000 {
        let locker = Locker::new(MemoryStore::new());
        let asking: Vec<_> = (0..4)
            .map(|_| {
                let locker = locker.clone();
                tokio::spawn(async move { while locker.inspect("job").await.is_ok() {} })
            })
            .collect();
        tokio::task::yield_now().await;
        locker.shutdown(secs(10)).await;
        for asking in asking {
            timeout(secs(30), asking).await.expect("a call is never answered").unwrap();
        }
    }
}

/// As above, but nobody has told the keeper: its runtime ends under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_are_made_while_the_keepers_runtime_ends_are_told() {
    for _ in 0..300 {
        let theirs =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let locker = {
            let _entered = theirs.enter();
            Locker::new(MemoryStore::new())
        };
        let calling: Vec<_> = (0..3)
            .map(|_| {
                let locker = locker.clone();
                // One call after the other, without a look at the answers.
                tokio::spawn(async move {
                    let mut calls = Vec::new();
                    for _ in 0..500 {
                        let mut call = Box::pin(locker.inspect("job"));
                        if crate::common::poll_once(call.as_mut()).is_pending() {
                            calls.push(call);
                        }
                    }
                    for call in calls {
                        let _ = timeout(secs(30), call).await.expect("a call is never answered");
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        theirs.shutdown_background();
        for calling in calling {
            calling.await.unwrap();
        }
    }
}
