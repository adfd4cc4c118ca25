//! Renewing: in few calls however many leases there are (L8), each in time, and undeterred by what fails (L3).

use std::pin::pin;
use std::time::Duration;

use golock_core::store::{Capabilities, Operation};
use golock_core::{ErrorKind, Lock, Locker, LostReason, MemoryStore, StoreErrorKind};
use tokio::time::{Instant, sleep};

use crate::common::{Fate, LEASE, Scripted, ms, name, options, poll_once, secs, settle, until};

async fn hold(locker: &Locker, number: usize) -> Vec<Lock> {
    hold_for(LEASE, locker, number).await
}

async fn hold_for(lease: Duration, locker: &Locker, number: usize) -> Vec<Lock> {
    let mut locks = Vec::with_capacity(number);
    for name in 0..number {
        let options = options(&format!("job {name}")).lock_at_most(lease).auto_renew(true);
        locks.push(locker.try_lock(options).await.unwrap());
    }
    locks
}

fn lost(locks: &[Lock]) -> Vec<&str> {
    locks.iter().filter(|lock| !lock.is_held()).map(|lock| lock.name().as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_leases_are_renewed_in_few_calls_and_none_is_lost() {
    let store = Scripted::new();
    store.script(|_| Fate::slow(ms(1)));
    let locker = Locker::new(store.clone());
    let locks = hold(&locker, 10_000).await;
    // Acquired over twenty seconds, one after the other: they fall due a few hundred at a time.
    let (before, began) = (store.count(Operation::Renew), Instant::now());
    sleep(LEASE * 3).await;
    assert_eq!(lost(&locks), [""; 0]);
    let rounds = 3 * (began.elapsed().as_secs() / LEASE.as_secs()) + 1;
    let calls = (store.count(Operation::Renew) - before) as u64;
    assert!(calls <= rounds * 30, "{calls} calls for {rounds} rounds of 10,000 leases");
    assert!(store.calls(Operation::Renew).iter().all(|call| call.names.len() <= 500));
    assert!(
        store.calls(Operation::Renew).iter().all(|call| call.names.is_sorted()),
        "rows are locked in order"
    );
}

#[tokio::test(start_paused = true)]
async fn store_that_takes_one_at_a_time_keeps_ten_thousand_leases() {
    let capabilities = Capabilities::new("single", 1, secs(5), true, i64::MAX);
    let store = Scripted::with(MemoryStore::new(), capabilities);
    let locker = Locker::new(store.clone());
    let locks = hold(&locker, 10_000).await;
    store.script(|_| Fate::slow(ms(5)));
    sleep(LEASE * 2).await;
    assert_eq!(lost(&locks), [""; 0]);
    assert!(store.calls(Operation::Renew).iter().all(|call| call.names.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn leases_that_are_dropped_leave_the_batch() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let mut locks = hold(&locker, 10).await;
    locks.truncate(3);
    sleep(LEASE).await;
    let renewed = store.calls(Operation::Renew);
    assert!(!renewed.is_empty() && renewed.iter().all(|call| call.names.len() == 3));
}

#[tokio::test(start_paused = true)]
async fn failed_renewals_stop_neither_renewing_nor_later_locks() {
    let store = Scripted::new();
    let kinds = [
        StoreErrorKind::Connection,
        StoreErrorKind::Permission,
        StoreErrorKind::Conflict,
        StoreErrorKind::Other,
    ];
    let mut renewals = 0;
    // Of each three tries only the last is answered.
    store.script(move |call| match call.operation {
        Operation::Renew => {
            renewals += 1;
            if renewals % 3 == 0 { Fate::FINE } else { Fate::refused(kinds[renewals % 4]) }
        }
        _ => Fate::FINE,
    });
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
    sleep(LEASE * 10).await;
    assert!(lock.is_held());
    let other = locker.try_lock(options("other").auto_renew(true)).await.unwrap();
    sleep(LEASE * 10).await;
    assert!(lock.is_held() && other.is_held());
}

#[tokio::test(start_paused = true)]
async fn locks_after_a_lost_one_are_renewed() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
    store.script(|call| match call.operation {
        Operation::Renew => Fate::BROKEN,
        _ => Fate::FINE,
    });
    assert_eq!(lock.lost().await, LostReason::Expired);
    let asked = store.count(Operation::Renew);
    store.script(|_| Fate::FINE);
    sleep(LEASE).await;
    assert_eq!(store.count(Operation::Renew), asked, "what is lost is not renewed");
    let next = locker.lock(options("job").auto_renew(true)).await.unwrap();
    sleep(LEASE * 3).await;
    assert!(next.is_held());
}

/// A server that hangs, and is back at the last moment that a third try can reach.
#[tokio::test(start_paused = true)]
async fn renewal_that_hangs_leaves_time_for_two_more_tries() {
    for lease in [secs(2), secs(15), LEASE] {
        let store = Scripted::new();
        store.script_for(Operation::Renew, [Fate::HANG; 2]);
        let locker = Locker::new(store.clone());
        let lock = locker.try_lock(options("job").lock_at_most(lease).auto_renew(true)).await.unwrap();
        sleep(lease * 2).await;
        assert!(lock.is_held(), "{lease:?}: {}", store.log());
    }
}

#[tokio::test(start_paused = true)]
async fn renewals_that_fail_are_neither_given_up_nor_a_storm() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let locks = hold(&locker, 1000).await;
    store.script(|_| Fate::BROKEN);
    sleep(LEASE).await;
    assert_eq!(lost(&locks).len(), 1000);
    let tries = store.count(Operation::Renew);
    assert!((3 * 2..=8 * 2).contains(&tries), "{tries} calls for two batches in a lease");
}

#[tokio::test(start_paused = true)]
async fn lease_that_was_granted_slowly_is_renewed_in_time() {
    let store = Scripted::new();
    store.script_for(Operation::Acquire, [Fate::FINE.answering(secs(4))]);
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").lock_at_most(secs(5)).auto_renew(true)).await.unwrap();
    sleep(secs(10)).await;
    assert!(lock.is_held(), "{}", store.log());
}

#[tokio::test(start_paused = true)]
async fn slow_server_keeps_a_lease_as_long_as_answers_beat_it() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").lock_at_most(secs(8)).auto_renew(true)).await.unwrap();
    store.script(|_| Fate::slow(ms(1900)));
    sleep(secs(60)).await;
    assert!(lock.is_held());
}

/// One row of the batch spoils it, by an error or by making it hang (a transaction of somebody's that holds the
/// row): it costs that one lease, and in time for all others.
async fn one_bad_row_costs_one_lease(spoiled: Fate) {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let locks = hold(&locker, 2_000).await;
    store.script(move |call| match call.operation {
        Operation::Renew if call.names.iter().any(|name| name.as_str() == "job 1234") => spoiled,
        _ => Fate::slow(ms(5)),
    });
    sleep(LEASE * 2).await;
    assert_eq!(lost(&locks), ["job 1234"]);
}

#[tokio::test(start_paused = true)]
async fn row_that_fails_its_batch_costs_one_lease() {
    for kind in [StoreErrorKind::Other, StoreErrorKind::Conflict, StoreErrorKind::Permission] {
        one_bad_row_costs_one_lease(Fate::refused(kind).answering(ms(5))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn row_that_panics_its_batch_costs_one_lease() {
    one_bad_row_costs_one_lease(Fate::PANIC).await;
}

#[tokio::test(start_paused = true)]
async fn row_that_hangs_its_batch_costs_one_lease() {
    one_bad_row_costs_one_lease(Fate::HANG).await;
}

/// Leases so short that each try may take a quarter of them.
#[tokio::test(start_paused = true)]
async fn row_that_hangs_its_batch_costs_one_lease_however_short_they_are() {
    for (lease, number) in [(secs(15), 2), (secs(15), 20), (secs(15), 40), (secs(2), 40), (secs(15), 500)] {
        let store = Scripted::new();
        let locker = Locker::new(store.clone());
        let locks = hold_for(lease, &locker, number).await;
        store.script(move |call| match call.operation {
            Operation::Renew if call.names.iter().any(|name| name.as_str() == "job 1") => Fate::HANG,
            _ => Fate::slow(ms(5)),
        });
        sleep(lease * 2).await;
        assert_eq!(lost(&locks), ["job 1"], "{number} leases of {lease:?}");
    }
}

/// A password that was changed, a table that is gone: what is asked in parts fails as what was asked together.
#[tokio::test(start_paused = true)]
async fn failure_of_the_whole_store_is_not_told_lease_by_lease() {
    use StoreErrorKind::{Authentication, Configuration, ReadOnly, SchemaMissing, Tls};
    for kind in [Authentication, Configuration, ReadOnly, SchemaMissing, Tls] {
        let store = Scripted::new();
        let locker = Locker::new(store.clone());
        let locks = hold(&locker, 400).await;
        store.script(move |_| Fate::refused(kind));
        sleep(LEASE).await;
        let calls = store.count(Operation::Renew);
        assert!((3..=6).contains(&calls), "{calls} calls for {kind:?}");
        assert_eq!(lost(&locks).len(), 400);
    }
}

/// A crash or a failover that forgets the last writes and keeps those before them.
#[tokio::test(start_paused = true)]
async fn extension_that_the_store_has_forgotten_is_believed_in_no_longer() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
    lock.extend(secs(3600)).await.unwrap();
    let lost = tokio::spawn(lock.lost());
    sleep(LEASE).await;
    assert!(lock.remaining() > secs(3400), "forgotten by nobody");

    store.server.set_remaining(lock.name(), LEASE / 2);
    let renewed = store.count(Operation::Renew);
    until("it is renewed", || store.count(Operation::Renew) > renewed).await;
    sleep(ms(1)).await;
    assert!(lock.is_held() && lock.remaining() <= LEASE, "{:?} remain", lock.remaining());
    // From here on the server can't be reached.
    store.script(|_| Fate::HANG);
    sleep(LEASE).await;
    assert!(!lock.is_held());
    assert_eq!(lost.await.unwrap(), LostReason::Expired);
}

/// Found by the simulation: a renewal that followed a release could have kept a lease of nobody alive.
#[tokio::test(start_paused = true)]
async fn lock_given_back_is_not_renewed_when_its_batch_is_tried_in_parts() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let mut locks = hold(&locker, 4).await;
    store.script_for(Operation::Renew, [Fate::refused(StoreErrorKind::Conflict).answering(secs(1))]);
    until("renewed", || store.count(Operation::Renew) > 0).await;
    locks.pop().unwrap().unlock().await.unwrap();
    sleep(LEASE).await;
    let renewals = store.calls(Operation::Renew);
    let asked_for = |of| renewals.iter().skip(1).any(|call| call.names.contains(&name(of)));
    assert!(asked_for("job 2") && !asked_for("job 3"), "{}", store.log());
    assert_eq!(lost(&locks), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn answers_of_a_batch_keep_their_order() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let locks = hold(&locker, 100).await;
    for number in [7, 42, 99] {
        store.server.delete(&name(&format!("job {number}")));
    }
    sleep(LEASE).await;
    assert_eq!(lost(&locks), ["job 7", "job 42", "job 99"]);
}

#[tokio::test(start_paused = true)]
async fn leases_of_all_lengths_are_renewed_together_and_in_time() {
    let store = Scripted::new();
    store.script(|_| Fate::slow(ms(2)));
    let locker = Locker::new(store.clone());
    let mut locks = Vec::new();
    for (number, lease) in
        [ms(200), secs(1), secs(5), secs(50), secs(500), secs(86_400)].into_iter().enumerate()
    {
        let wanted = options(&format!("job {number}")).lock_at_most(lease).auto_renew(true);
        locks.push(locker.try_lock(wanted).await.unwrap());
    }
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(lost(&locks), [""; 0]);
}

/// As stores answer that find a row locked: there is time for more tries, and one of them has to be made once the row is free.
#[tokio::test(start_paused = true)]
async fn renewal_that_extended_nothing_is_repeated_soon() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let locks = hold(&locker, 2).await;
    store.lock_rows(true);
    sleep(LEASE * 7 / 10).await;
    assert_eq!(lost(&locks), [""; 0]);
    assert_eq!(store.count(Operation::Renew), 3, "a third of the lease, then each sixth of it");
    store.lock_rows(false);
    sleep(LEASE).await;
    assert_eq!(lost(&locks), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn extension_that_extended_nothing_is_no_success() {
    let store = Scripted::new();
    let lock = Locker::new(store.clone()).try_lock(options("job")).await.unwrap();
    store.lock_rows(true);
    let error = lock.extend(LEASE * 10).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Store && error.is_transient(), "{error}");
    assert!(lock.is_held() && lock.remaining() <= LEASE);
    store.lock_rows(false);
    lock.extend(LEASE * 10).await.unwrap();
    assert!(lock.remaining() > LEASE * 9);
}

/// A future that is kept, and not polled, holds no name for ever: its caller does not know that it has the lock.
#[tokio::test(start_paused = true)]
async fn lock_that_nobody_has_taken_is_not_renewed() {
    let store = Scripted::new();
    let (locker, other) = (Locker::new(store.clone()), Locker::new(Scripted::on(store.server.clone())));
    let mut kept = pin!(locker.lock(options("job").auto_renew(true)));
    assert!(poll_once(kept.as_mut()).is_pending());
    sleep(LEASE * 2).await;
    let taken = other.try_lock(options("job")).await.unwrap();
    assert!(poll_once(kept.as_mut()).is_pending(), "it was given a lock that another holds");
    taken.unlock().await.unwrap();
    let lock = kept.await.unwrap();
    sleep(LEASE * 2).await;
    assert!(lock.is_held());
}

#[tokio::test(start_paused = true)]
async fn lock_that_was_taken_late_is_renewed() {
    for percent in [10, 50, 75, 90, 98] {
        let locker = Locker::new(Scripted::new());
        let mut kept = pin!(locker.lock(options("job").auto_renew(true)));
        assert!(poll_once(kept.as_mut()).is_pending());
        settle().await;
        sleep(LEASE * percent / 100).await;
        let lock = kept.await.unwrap();
        sleep(LEASE * 2).await;
        assert!(lock.is_held(), "taken after {percent} % of its lease");
    }
}

/// It is due at once, before its caller can have taken it.
#[tokio::test(start_paused = true)]
async fn lock_that_was_granted_late_is_renewed() {
    for percent in [30, 60, 90, 98] {
        let store = Scripted::new();
        store.script_for(Operation::Acquire, [Fate::FINE.answering(secs(1) * percent / 100)]);
        let locker = Locker::new(store);
        let lock = locker.lock(options("job").lock_at_most(secs(1)).auto_renew(true)).await.unwrap();
        sleep(secs(2)).await;
        assert!(lock.is_held(), "granted after {percent} % of its lease");
    }
}
