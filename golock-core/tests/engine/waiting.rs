//! Waiting for a name: woken soon (L1), in turn, at a bounded cost to the server (L9), and without a trace once
//! it is over (S18).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use golock_core::store::{Capabilities, Operation};
use golock_core::{Error, Locker, MemoryStore, StoreErrorKind};
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Fate, LEASE, SOON, Scripted, ms, options, secs, settle, taken_soon};

const ROUND_TRIP: Duration = ms(40);

#[tokio::test(start_paused = true)]
async fn waiter_has_the_lock_within_a_round_trip_of_its_release() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    store.script(|_| Fate::slow(ROUND_TRIP));
    let lock = one.try_lock(options("job")).await.unwrap();
    let waiter =
        tokio::spawn(async move { other.lock(options("job")).await.map(|lock| (lock, Instant::now())) });
    sleep(secs(5)).await;

    let unlocking = Instant::now();
    lock.unlock().await.unwrap();

    let (_lock, had) = waiter.await.unwrap().unwrap();
    // Half a round trip until the name is free, and one to ask for it.
    let took = had - unlocking;
    assert!(took <= ROUND_TRIP * 3 / 2 + ms(2), "{took:?}\n{}", store.log());
}

/// Whenever the name is freed while a waiter tries, opens its listener, marks and tries again, it hears of it.
#[tokio::test(start_paused = true)]
async fn no_wake_up_is_lost_between_try_and_sleep() {
    for offset in 0..300 {
        let store = Scripted::new();
        let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
        let lock = one.try_lock(options("job")).await.unwrap();
        store.script(|_| Fate::slow(ROUND_TRIP));
        let waiter = tokio::spawn(async move { other.lock(options("job")).await.unwrap() });
        sleep(ms(offset)).await;
        let released = Instant::now();
        lock.unlock().await.unwrap();
        let lock = waiter.await.unwrap();
        let took = released.elapsed();
        assert!(
            took < ms(250),
            "freed {offset} ms after the wait began, had {took:?} later\n{}",
            store.log()
        );
        drop(lock);
    }
}

#[tokio::test(start_paused = true)]
async fn waiter_takes_over_when_the_lease_of_a_crashed_holder_ends() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    std::mem::forget(one.try_lock(options("job")).await.unwrap());
    let crashed = Instant::now();
    let _lock = other.lock(options("job")).await.unwrap();
    let took = crashed.elapsed();
    assert!((LEASE..LEASE + ms(1200)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn idle_waiter_costs_about_a_statement_a_lease() {
    for lease in [secs(10), LEASE, secs(3600)] {
        let store = Scripted::new();
        let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
        let wanted = options("job").lock_at_most(lease).auto_renew(true);
        let _lock = one.try_lock(wanted.clone()).await.unwrap();
        let waiter = tokio::spawn(async move { other.lock(wanted).await.map(drop) });
        sleep(lease * 20).await;
        let asked = store.count(Operation::Acquire) + store.count(Operation::MarkWaiting);
        // What remains is two thirds of a lease that is renewed, or more. A mark stands for ten minutes at most:
        // three statements then.
        let most = 20 * 3 / 2 + 10 + 3 * (20 * lease.as_secs() / 600);
        assert!(asked as u64 <= most, "{asked} statements in 20 leases of {lease:?}");
        waiter.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_of_one_locker_are_served_first_come_first_served() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job")).await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for number in 0..1000 {
        let (other, served) = (other.clone(), served.clone());
        waiters.push(tokio::spawn(async move {
            let lock = other.lock(options("job")).await.unwrap();
            served.lock().unwrap().push(number);
            lock.unlock().await.unwrap();
        }));
    }
    sleep(secs(1)).await;
    lock.unlock().await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert_eq!(*served.lock().unwrap(), (0..1000).collect::<Vec<_>>());
    let asked = store.count(Operation::Acquire);
    assert!(asked <= 1010, "{asked} acquires for 1001 grants");
    assert_eq!(store.most_under_way(), 1, "only the head asks");
}

#[tokio::test(start_paused = true)]
async fn waiters_of_many_lockers_all_get_their_turn() {
    let store = Scripted::new();
    let waiters: Vec<_> = (0..50)
        .map(|_| {
            let locker = Locker::new(store.clone());
            tokio::spawn(async move {
                let lock = locker.lock(options("job")).await.unwrap();
                sleep(ms(50)).await;
                lock.unlock().await.unwrap();
            })
        })
        .collect();
    let began = Instant::now();
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert!(began.elapsed() < secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn try_lock_does_not_barge_past_the_line_and_asks_nobody() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job").lock_by("holder")).await.unwrap();
    let waiter = tokio::spawn({
        let other = other.clone();
        async move { other.lock(options("job")).await.unwrap() }
    });
    sleep(secs(5)).await;
    let asked = store.total();

    let refusal = other.try_lock(options("job")).await.unwrap_err();
    let holder = refusal.holder().unwrap();
    assert_eq!((holder.lock_by.as_str(), holder.remaining), ("holder", LEASE - secs(5)));
    assert_eq!(store.total(), asked, "the line knew");

    store.script(|_| Fate::slow(ROUND_TRIP));
    drop(lock);
    sleep(ROUND_TRIP / 2 + ms(1)).await;
    // The head asks at this moment.
    let refusal = other.try_lock(options("job")).await.unwrap_err();
    assert!(refusal.holder().unwrap().by_self, "{refusal}");
    assert!(waiter.await.unwrap().is_held());
}

#[tokio::test(start_paused = true)]
async fn cancelled_head_passes_the_lead_on() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
    store.script(|_| Fate::slow(ROUND_TRIP));
    // At each stage of the head's asking, marking and sleeping.
    for stage in (0..300).step_by(7) {
        let head = tokio::spawn({
            let other = other.clone();
            async move { other.lock(options("job")).await.map(drop) }
        });
        settle().await;
        let second = tokio::spawn({
            let other = other.clone();
            async move { other.lock(options("job").wait(secs(2))).await.map(drop) }
        });
        sleep(ms(stage)).await;
        head.abort();
        let refusal = second.await.unwrap().unwrap_err();
        assert!(refusal.is_held(), "at {stage} ms: {refusal}");
    }
    let third = tokio::spawn(async move { taken_soon(&other, "job").await });
    sleep(secs(1)).await;
    lock.unlock().await.unwrap();
    third.await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn cancelled_head_does_not_keep_its_successor_waiting_for_a_free_name() {
    for stage in (0..300).step_by(7) {
        let store = Scripted::new();
        let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
        let lock = one.try_lock(options("job")).await.unwrap();
        store.script(|_| Fate::slow(ROUND_TRIP));
        let head = tokio::spawn({
            let other = other.clone();
            async move { other.lock(options("job")).await.map(drop) }
        });
        settle().await;
        let second = tokio::spawn(async move { other.lock(options("job")).await.map(drop) });
        sleep(ms(stage)).await;
        let (unlocked, ()) = tokio::join!(lock.unlock(), async { head.abort() });
        unlocked.unwrap();
        let waited = timeout(secs(1), second).await;
        waited.unwrap_or_else(|_| panic!("at {stage} ms\n{}", store.log())).unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn wait_that_is_over_leaves_nothing_behind() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job")).await.unwrap();
    store.script(|_| Fate::slow(ROUND_TRIP));
    let began = Instant::now();

    let refusal = other.lock(options("job").wait(secs(5))).await.unwrap_err();

    assert!(refusal.is_held(), "{refusal}");
    assert!((secs(5)..=secs(5) + ROUND_TRIP).contains(&began.elapsed()), "{:?}", began.elapsed());
    settle().await;
    let calls = store.total();
    sleep(SOON).await;
    assert_eq!(store.total(), calls, "it still asks");
    lock.unlock().await.unwrap();
    settle().await;
    assert_eq!(store.total(), calls + 1, "it was woken");
    one.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn last_try_at_the_end_of_the_wait_gets_a_name_freed_unheard() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job")).await.unwrap();
    let waiter = tokio::spawn(async move { other.lock(options("job").wait(secs(20))).await });
    sleep(secs(2)).await;
    store.plug_ears();
    lock.unlock().await.unwrap();
    assert!(waiter.await.unwrap().unwrap().is_held());
}

/// The runtime's timers are as fine as a millisecond: both waits are over when the keeper wakes.
#[tokio::test(start_paused = true)]
async fn last_try_is_the_heads_also_if_a_wait_behind_it_ends_in_the_same_moment() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job")).await.unwrap();
    let wait_micros = |micros| {
        let (other, wait) = (other.clone(), secs(20) + Duration::from_micros(micros));
        tokio::spawn(async move { other.lock(options("job").wait(wait)).await })
    };
    let head = wait_micros(200);
    settle().await;
    let _behind = wait_micros(100);
    sleep(secs(2)).await;
    store.plug_ears();
    lock.unlock().await.unwrap();
    assert!(head.await.unwrap().unwrap().is_held());
}

#[tokio::test(start_paused = true)]
async fn last_try_does_not_wait_for_a_mark() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job")).await.unwrap();
    store.script_for(Operation::MarkWaiting, [Fate::HANG]);
    let (waiter, began) = (other.clone(), Instant::now());
    let waiter = tokio::spawn(async move { waiter.lock(options("job").wait(secs(3))).await });
    sleep(secs(1)).await;
    // Nor does who does not wait.
    assert!(other.try_lock(options("job")).await.unwrap_err().is_held());
    assert_eq!(began.elapsed(), secs(1));
    lock.unlock().await.unwrap();
    assert!(waiter.await.unwrap().unwrap().is_held());
    assert!(began.elapsed() < secs(3) + ROUND_TRIP, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn every_wait_in_a_line_ends_in_time() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let _lock = one.try_lock(options("job")).await.unwrap();
    store.script(|_| Fate::slow(ROUND_TRIP));
    let waits = (0..100).map(|number| ms(10 * (number * 37 % 100))).map(|wait| {
        let other = other.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            let error = other.lock(options("job").wait(wait)).await.unwrap_err();
            (wait, began.elapsed(), error)
        })
    });
    for waiting in waits.collect::<Vec<_>>() {
        let (wait, took, error) = waiting.await.unwrap();
        assert!(error.is_held(), "{error}");
        assert!(took >= wait && took <= wait + ROUND_TRIP * 3, "waited {took:?} for {wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_behind_a_local_holder_cost_the_server_nothing() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job")).await.unwrap();
    let waiter = tokio::spawn({
        let locker = locker.clone();
        async move { locker.lock(options("job")).await.unwrap() }
    });
    sleep(LEASE / 2).await;
    assert_eq!(store.total(), 1);
    drop(lock);
    assert!(waiter.await.unwrap().is_held());
    assert_eq!(store.count(Operation::MarkWaiting), 0);
}

#[tokio::test(start_paused = true)]
async fn try_lock_right_after_a_drop_waits_for_the_release_and_gets_the_name() {
    let store = Scripted::new();
    store.script(|_| Fate::slow(ROUND_TRIP));
    let locker = Locker::new(store);
    for _ in 0..5 {
        drop(locker.try_lock(options("job")).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn local_waiter_takes_over_when_the_local_lease_runs_out() {
    let locker = Locker::new(Scripted::new());
    let lost = locker.try_lock(options("job").lock_at_most(secs(5))).await.unwrap();
    let next = taken_soon(&locker, "job").await;
    assert!(!lost.is_held());
    drop(lost);
    settle().await;
    assert!(next.is_held());
    assert!(locker.try_lock(options("job")).await.unwrap_err().holder().unwrap().by_self);
}

#[tokio::test(start_paused = true)]
async fn store_without_push_is_asked_at_least_each_second_and_not_much_more() {
    let server = MemoryStore::new();
    let capabilities = Capabilities::new("mute", 500, secs(5), false, i64::MAX);
    let store = Scripted::with(server.clone(), capabilities);
    let (one, other) = (Locker::new(server), Locker::new(store.clone()));
    let lock = one.try_lock(options("job")).await.unwrap();
    let waiter = tokio::spawn(async move { other.lock(options("job")).await.map(drop) });
    sleep(secs(30)).await;
    let asked = store.count(Operation::Acquire);
    assert!((30..=75).contains(&asked), "{asked}");
    assert_eq!((store.count(Operation::MarkWaiting), store.listeners()), (0, 0));
    let released = Instant::now();
    lock.unlock().await.unwrap();
    waiter.await.unwrap().unwrap();
    assert!(released.elapsed() <= secs(1));
}

#[tokio::test(start_paused = true)]
async fn transient_errors_are_waited_out_and_others_told_at_once() {
    for kind in [StoreErrorKind::Connection, StoreErrorKind::Unavailable, StoreErrorKind::Conflict] {
        let store = Scripted::new();
        store.script_for(Operation::Acquire, [Fate::refused(kind); 5]);
        let lock = Locker::new(store.clone()).lock(options("job").wait(secs(10))).await.unwrap();
        assert!(lock.is_held());
        assert_eq!(store.count(Operation::Acquire), 6);
    }
    let store = Scripted::new();
    store.script_for(Operation::Acquire, [Fate::refused(StoreErrorKind::Permission)]);
    let error = Locker::new(store.clone()).lock(options("job")).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{error}");
    assert_eq!(store.count(Operation::Acquire), 1);
}

#[tokio::test(start_paused = true)]
async fn transient_errors_count_against_the_wait() {
    let store = Scripted::new();
    store.script(|_| Fate::refused(StoreErrorKind::Unavailable));
    let began = Instant::now();
    let error = Locker::new(store.clone()).lock(options("job").wait(secs(30))).await.unwrap_err();
    assert!(matches!(&error, Error::WaitTimeout { source: Some(_), .. }), "{error}");
    assert!((secs(30)..secs(31)).contains(&began.elapsed()));
    let asked = store.count(Operation::Acquire);
    assert!((30..=80).contains(&asked), "{asked} tries in 30 s: neither idle nor a storm");
}
