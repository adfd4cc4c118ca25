//! Durations at both ends of what a `Duration` can be are refused by a typed error or work: no panic, no overflow,
//! no endless wait where there should be none (S21).

use std::time::Duration;

use golock_core::store::{
    AcquireRequest, Capabilities, MarkRequest, Operation, ReleaseRequest, RenewRequest,
};
use golock_core::{
    Error, FencingToken, GrantId, InvalidInput, Label, LockOptions, LockStore, Locker, MemoryStore,
};
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Fate, LEASE, Scripted, ms, name, options, secs, settle};

const TOO_SHORT: [Duration; 4] =
    [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(999), Duration::from_micros(9_999)];
const TOO_LONG: [Duration; 3] =
    [Duration::from_secs(365 * 24 * 3600 + 1), Duration::from_secs(u64::MAX), Duration::MAX];

#[tokio::test(start_paused = true)]
async fn lease_out_of_range_is_refused_before_any_request() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("held")).await.unwrap();
    for lease in TOO_SHORT.into_iter().chain(TOO_LONG) {
        let wanted = options("job").lock_at_most(lease);
        let refused = [
            locker.try_lock(wanted.clone()).await.map(drop).unwrap_err(),
            locker.lock(wanted.clone()).await.map(drop).unwrap_err(),
            locker.run(wanted, async |_| ()).await.unwrap_err(),
            lock.extend(lease).await.unwrap_err(),
        ];
        for error in refused {
            let Error::Invalid(InvalidInput::LeaseOutOfRange { lease: named, .. }) = error else {
                panic!("{lease:?}: {error}");
            };
            assert_eq!(named, lease);
        }
    }
    assert_eq!(store.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn shortest_and_longest_lease_work() {
    let locker = Locker::new(Scripted::new());
    for lease in [LockOptions::MIN_LEASE, LockOptions::MAX_LEASE] {
        let lock = locker.try_lock(options("job").lock_at_most(lease).lock_at_least(ms(1))).await.unwrap();
        lock.extend(lease).await.unwrap();
        assert!(lock.is_held());
        lock.unlock().await.unwrap();
        sleep(ms(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lock_at_least_above_lock_at_most_is_refused() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    for at_least in [LEASE + Duration::from_nanos(1), Duration::MAX] {
        let error = locker.try_lock(options("job").lock_at_least(at_least)).await.unwrap_err();
        let Error::Invalid(InvalidInput::AtLeastAboveAtMost { at_most, .. }) = error else {
            panic!("{error}")
        };
        assert_eq!(at_most, LEASE);
    }
    assert_eq!(store.total(), 0);
    locker.try_lock(options("job").lock_at_least(LEASE)).await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lock_at_least_of_almost_nothing_works() {
    let locker = Locker::new(Scripted::new());
    let lock = locker.try_lock(options("job").lock_at_least(Duration::from_nanos(1))).await.unwrap();
    lock.unlock().await.unwrap();
    sleep(ms(1)).await;
    assert_eq!(locker.inspect("job").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn wait_of_any_length_works() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store));
    let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
    for wait in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(500)] {
        for locker in [&one, &other] {
            let began = Instant::now();
            assert!(locker.lock(options("job").wait(wait)).await.unwrap_err().is_held());
            assert!(began.elapsed() <= ms(5), "{:?}", began.elapsed());
        }
    }
    let waiters = [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 60)].map(|wait| {
        let other = other.clone();
        tokio::spawn(
            async move { other.lock(options("job").wait(wait)).await.unwrap().unlock().await.unwrap() },
        )
    });
    sleep(LEASE * 3).await;
    lock.unlock().await.unwrap();
    for waiter in waiters {
        timeout(secs(5), waiter).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_timeout_of_any_length_works() {
    for long in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 60)] {
        let locker = Locker::new(Scripted::new());
        let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
        let closing = tokio::spawn(async move { locker.shutdown(long).await });
        sleep(LEASE * 3).await;
        assert!(lock.is_held(), "renewed while the shutdown waits");
        lock.unlock().await.unwrap();
        assert_eq!(timeout(secs(1), closing).await.unwrap().unwrap(), 0);
    }
    for short in [Duration::ZERO, Duration::from_nanos(1)] {
        let locker = Locker::new(Scripted::new());
        let lock = locker.try_lock(options("job")).await.unwrap();
        assert_eq!(timeout(secs(1), locker.shutdown(short)).await.unwrap(), 1);
        drop(lock);
    }
}

#[tokio::test(start_paused = true)]
async fn purge_of_any_age_works() {
    let locker = Locker::new(Scripted::new());
    drop(locker.try_lock(options("job")).await.unwrap());
    settle().await;
    // A token of this very moment is not behind the clock yet.
    sleep(ms(1)).await;
    for long in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 60)] {
        assert_eq!(locker.purge(long).await.unwrap(), 0);
    }
    assert_eq!(locker.purge(Duration::ZERO).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn request_timeout_of_any_length_works() {
    for limit in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let capabilities = Capabilities::new("odd", 0, limit, true, i64::MAX);
        let store = Scripted::with(MemoryStore::new(), capabilities);
        let locker = Locker::new(store.clone());
        let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
        let waiter = tokio::spawn({
            let other = Locker::new(store.clone());
            async move { other.lock(options("job")).await.unwrap() }
        });
        sleep(LEASE * 2).await;
        lock.extend(LEASE).await.unwrap();
        lock.unlock().await.unwrap();
        assert!(waiter.await.unwrap().is_held());
        // Slower than any limit but the longest.
        store.script_for(Operation::Inspect, [Fate::FINE.answering(secs(100))]);
        assert_eq!(locker.inspect("job").await.is_ok(), limit == Duration::MAX);
    }
}

#[tokio::test(start_paused = true)]
async fn margin_out_of_range_is_kept_in_range() {
    for (margin, kept) in [
        (-1.0, ms(1)),
        (f64::MIN_POSITIVE, ms(1)),
        (7.0, LEASE / 2),
        (f64::NAN, LEASE / 100),
        (f64::INFINITY, LEASE / 100),
    ] {
        let locker = Locker::builder(Scripted::new()).margin(margin).build();
        assert_eq!(locker.try_lock(options("job")).await.unwrap().remaining(), LEASE - kept, "{margin}");
    }
}

#[tokio::test(start_paused = true)]
async fn memory_store_takes_any_duration() {
    for epoch in [Duration::ZERO, secs(1_700_000_000), Duration::MAX] {
        let store = MemoryStore::starting_at(epoch);
        let (grant, label) = (GrantId::from_bytes([7; 16]), Label::new("tester").unwrap());
        for long in [Duration::ZERO, Duration::MAX] {
            let _ = store.acquire(&[AcquireRequest::new(name("job"), grant, label.clone(), long)]).await;
            let _ = store.acquire(&[AcquireRequest::new(name("job"), grant, label.clone(), long)]).await;
            let token = FencingToken::new(1);
            let _ = store.renew(&[RenewRequest::new(name("job"), grant, token, long)]).await;
            let _ = store.mark_waiting(&[MarkRequest::new(name("job"), long)]).await;
            let _ = store.inspect(&name("job")).await;
            let _ = store.release(&[ReleaseRequest::new(name("job"), grant, long)]).await;
            let _ = store.purge(long).await;
        }
        sleep(secs(1)).await;
        let _ = store.inspect(&name("job")).await;
    }
}
