//! What went wrong in other lock libraries, and must not here. Each test says whose bug it is; those that other tests
//! prove, and those that need a server, stand in the table of golock-conformance's README.

use golock_core::store::Operation;
use golock_core::{LockStore, Locker, LostReason, MemoryStore, StoreErrorKind};
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Fate, LEASE, Scripted, ms, name, options, secs, taken_soon, until};

/// Two lockers on one server; the network of the first is the script's.
fn two_lockers() -> (Scripted, Locker, Locker) {
    let store = Scripted::new();
    let calm = Scripted::on(store.server.clone());
    (store.clone(), Locker::new(store), Locker::new(calm))
}

/// Redisson #7272: the watchdog of an acquire that was interrupted was armed after its unlock had looked for it, and renewed
/// a key that nobody held, for ever.
#[tokio::test(start_paused = true)]
async fn interrupted_acquire_leaves_no_renewal_behind() {
    for interrupted_after in [0, 10, 20, 30, 39, 41].map(ms) {
        let (store, one, other) = two_lockers();
        store.script(|_| Fate::slow(ms(40)));
        let acquiring = one.try_lock(options("job").auto_renew(true));
        drop(timeout(interrupted_after, acquiring).await);
        sleep(LEASE * 3).await;
        assert_eq!(store.count(Operation::Renew), 0, "{interrupted_after:?}: {}", store.log());
        drop(other.try_lock(options("job")).await.unwrap());
    }
}

/// Redisson #7272, the other way round: a renewal that is on its way when the lock is unlocked.
#[tokio::test(start_paused = true)]
async fn renewal_on_its_way_does_not_outlive_the_unlock() {
    let (store, one, other) = two_lockers();
    store.script(|call| match call.operation {
        Operation::Renew => Fate::FINE.arriving(secs(3)).answering(secs(4)),
        _ => Fate::FINE,
    });
    let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
    until("a renewal", || store.count(Operation::Renew) == 1).await;
    lock.unlock().await.unwrap();
    sleep(LEASE).await;
    assert_eq!(store.count(Operation::Renew), 1, "{}", store.log());
    assert_eq!(store.server.inspect(&name("job")).await.unwrap(), None);
    drop(other.try_lock(options("job")).await.unwrap());
}

/// Redisson #2515 and #3194: after a renewal had failed with its connection, locks of the same name were never renewed
/// again, whether the first had been unlocked or had run out.
#[tokio::test(start_paused = true)]
async fn name_whose_renewal_failed_is_renewed_when_it_is_locked_again() {
    for is_unlocked in [true, false] {
        let (store, one, _) = two_lockers();
        let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
        store.script(|call| match call.operation {
            Operation::Renew => Fate::BROKEN,
            _ => Fate::FINE,
        });
        if is_unlocked {
            until("a failed renewal", || store.count(Operation::Renew) > 0).await;
            lock.unlock().await.unwrap();
        } else {
            assert_eq!(lock.lost().await, LostReason::Expired);
            drop(lock);
        }
        store.script(|_| Fate::FINE);
        let again = one.lock(options("job").auto_renew(true)).await.unwrap();
        sleep(LEASE * 5).await;
        assert!(again.is_held(), "{}", store.log());
    }
}

/// Redisson #5698: while other processes tried for the name every now and then its holder was not renewed, and one of them
/// got it.
#[tokio::test(start_paused = true)]
async fn those_who_try_for_a_name_do_not_keep_its_holder_from_renewing() {
    let (store, one, other) = two_lockers();
    store.script(|_| Fate::slow(ms(20)));
    let short = || options("job").lock_at_most(secs(3)).wait(secs(1));
    let lock = one.try_lock(short().auto_renew(true)).await.unwrap();
    let began = Instant::now();
    while began.elapsed() < secs(60) {
        let (near, far, patient) =
            tokio::join!(one.try_lock(short()), other.try_lock(short()), other.lock(short()));
        for outcome in [near, far, patient] {
            let error = outcome.unwrap_err();
            assert!(error.is_held(), "{error}");
        }
        assert!(lock.is_held(), "{}", store.log());
    }
}

/// ShedLock #231: nodes decided by their own clocks whether a lease was over, and one that was three minutes ahead took a
/// lock that was held.
#[tokio::test(start_paused = true)]
async fn lease_lasts_as_long_as_it_should_whatever_this_machines_clock_says() {
    for server_time in [secs(1), secs(1_700_000_000), secs(4_000_000_000)] {
        let server = MemoryStore::starting_at(server_time);
        let (one, other) = (Locker::new(server.clone()), Locker::new(server));
        let lock = one.try_lock(options("job")).await.unwrap();
        let began = Instant::now();
        let next = other.lock(options("job")).await.unwrap();
        assert!(began.elapsed() >= LEASE, "taken after {:?}", began.elapsed());
        assert!(!lock.is_held() && next.is_held());
    }
}

/// etcd #10811: a client that the network cut off went on to believe in its lock when the server had given it to another.
#[tokio::test(start_paused = true)]
async fn holder_that_is_cut_off_stops_believing_before_another_is_granted() {
    let (store, one, other) = two_lockers();
    let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
    store.script(|_| Fate::HANG);
    let next = tokio::spawn(async move { other.lock(options("job")).await });
    assert_eq!(lock.lost().await, LostReason::Expired);
    assert!(!next.is_finished() && !lock.is_held());
    let next = next.await.unwrap().unwrap();
    assert!(next.token() > lock.token());
}

/// etcd #17470: the lease of a session went on to be kept alive when its user was gone, and kept the lock from all others.
#[tokio::test(start_paused = true)]
async fn lock_of_a_task_that_panicked_is_not_kept_alive() {
    let (store, one, other) = two_lockers();
    let crashing = tokio::spawn(async move {
        let _lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
        panic!("the holder crashes, as the test wants");
    });
    assert!(crashing.await.unwrap_err().is_panic());
    let lock = taken_soon(&other, "job").await;
    assert_eq!(store.count(Operation::Renew), 0);
    lock.unlock().await.unwrap();
}

/// etcd #22082: the answer of an unlock was lost; repeated, it deleted the lock that the same session had taken since.
#[tokio::test(start_paused = true)]
async fn repeated_unlock_frees_no_newer_lock_of_the_same_locker() {
    let (store, one, _) = two_lockers();
    store.script_for(Operation::Release, [Fate::BROKEN_AFTER, Fate::BROKEN.arriving(secs(3))]);
    one.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
    let newer = one.try_lock(options("job")).await.unwrap();
    sleep(secs(4)).await;
    assert_eq!(store.count(Operation::Release), 3, "{}", store.log());
    let row = store.server.inspect(&name("job")).await.unwrap().unwrap();
    assert_eq!(row.token, newer.token());
    newer.extend(LEASE).await.unwrap();
    newer.unlock().await.unwrap();
}

/// redsync #80: one server that never answered held an acquire up for as long as it liked.
#[tokio::test(start_paused = true)]
async fn server_that_never_answers_is_given_up() {
    let (store, one, other) = two_lockers();
    store.script_for(Operation::Acquire, [Fate::HANG]);
    let began = Instant::now();
    let error = one.try_lock(options("job")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(began.elapsed() <= store.capabilities().request_timeout, "{:?}", began.elapsed());
    drop(other.try_lock(options("job")).await.unwrap());
}

/// DistributedLock #147: PostgreSQL ended a wait at its lock_timeout, and said so, though the lock had been granted in that
/// moment; nobody ever released it.
#[tokio::test(start_paused = true)]
async fn acquire_that_was_granted_but_told_as_timed_out_is_given_back() {
    let (store, one, other) = two_lockers();
    store.script_for(Operation::Acquire, [Fate::error(StoreErrorKind::Timeout)]);
    one.try_lock(options("job")).await.unwrap_err();
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

/// DistributedLock #191: the answer to a release did not come in time, and the name stayed taken.
#[tokio::test(start_paused = true)]
async fn unlock_that_timed_out_is_tried_again_until_the_name_is_free() {
    let (store, one, other) = two_lockers();
    let lock = one.try_lock(options("job")).await.unwrap();
    store.script_for(Operation::Release, [Fate::HANG, Fate::HANG]);
    let error = lock.unlock().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    taken_soon(&other, "job").await.unlock().await.unwrap();
    assert_eq!(store.count(Operation::Release), 3, "{}", store.log());
}
