//! Requests and answers that are lost: no double holder and no stuck name (S14), and releases that are repeated
//! and told apart (S16). A given-up statement may run for up to the request timeout of 5 s more.

use golock_core::store::Operation;
use golock_core::{Error, LockStore, Locker, LostReason, StoreErrorKind};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::common::{Fate, LEASE, SOON, Scripted, ms, name, options, secs, settle, taken_soon};

const LIMIT: std::time::Duration = secs(5);

/// Two lockers on one server: the calls of the first go as `fates` say, then well; the second has no troubles.
fn troubled(operation: Operation, fates: impl IntoIterator<Item = Fate>) -> (Scripted, Locker, Locker) {
    let store = Scripted::new();
    store.script_for(operation, fates);
    let calm = Scripted::on(store.server.clone());
    (store.clone(), Locker::new(store), Locker::new(calm))
}

/// Another's release, which takes the place of the grant that the row remembers as released.
async fn lock_and_unlock(locker: &Locker) {
    locker.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn acquire_whose_reply_was_lost_is_no_success_and_is_undone() {
    for fate in [Fate::LOST_REPLY, Fate::BROKEN_AFTER, Fate::error(StoreErrorKind::Other)] {
        let (store, one, other) = troubled(Operation::Acquire, [fate]);
        let error = one.try_lock(options("job")).await.unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{error}");
        settle().await;
        assert_eq!(store.count(Operation::Release), 1);
        lock_and_unlock(&other).await;
    }
}

#[tokio::test(start_paused = true)]
async fn acquire_that_surely_did_nothing_is_not_undone() {
    for kind in [StoreErrorKind::Conflict, StoreErrorKind::Unavailable, StoreErrorKind::Permission] {
        let (store, one, _) = troubled(Operation::Acquire, [Fate::refused(kind)]);
        one.try_lock(options("job")).await.unwrap_err();
        sleep(SOON).await;
        assert_eq!(store.count(Operation::Release), 0, "{kind:?}");
    }
}

/// In an outage of an hour each try would leave an undo behind, to be repeated for as long as its lease would have lasted.
#[tokio::test(start_paused = true)]
async fn acquire_that_was_never_sent_is_not_undone() {
    let store = Scripted::new();
    store.script(|_| Fate::UNREACHED);
    let locker = Locker::new(store.clone());
    let error = locker.try_lock(options("job")).await.unwrap_err();
    assert!(error.is_transient() && !error.is_held(), "{error}");
    locker.lock(options("job").wait(secs(3))).await.unwrap_err();
    assert!(timeout(secs(3), locker.lock(options("job"))).await.is_err());
    sleep(SOON).await;
    assert_eq!(store.count(Operation::Release), 0);
}

/// One of its calls was sent.
#[tokio::test(start_paused = true)]
async fn acquire_that_was_sent_once_is_undone_whatever_came_after() {
    let fates = [Fate::BROKEN_AFTER].into_iter().chain([Fate::UNREACHED; 50]);
    let (store, one, other) = troubled(Operation::Acquire, fates);
    assert!(timeout(secs(3), one.lock(options("job"))).await.is_err());
    assert!(store.count(Operation::Acquire) > 2);
    taken_soon(&other, "job").await.unlock().await.unwrap();
    assert!(store.count(Operation::Release) > 0);
}

#[tokio::test(start_paused = true)]
async fn acquire_whose_reply_was_lost_is_recognised_on_retry() {
    for fate in [Fate::LOST_REPLY, Fate::BROKEN_AFTER] {
        let (store, one, other) = troubled(Operation::Acquire, [fate]);
        let lock = one.lock(options("job")).await.unwrap();
        let calls = store.calls(Operation::Acquire);
        assert_eq!(calls[0].grants, calls[1].grants);
        let retried = calls[1].at;
        let row = other.inspect("job").await.unwrap().unwrap();
        assert_eq!(row.token, lock.token());
        assert_eq!(row.held_for, Instant::now() - calls[0].at, "granted by the first");
        assert_eq!(row.remaining, LEASE - retried.elapsed(), "extended by the second");
        assert_eq!(lock.remaining(), LEASE - LEASE / 100 - retried.elapsed());
        lock.unlock().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn undo_that_overtakes_its_acquire_leaves_no_orphan() {
    let late = Fate::BROKEN.arriving(secs(4));
    let (_, one, other) = troubled(Operation::Acquire, [late]);
    one.try_lock(options("job")).await.unwrap_err();
    sleep(secs(4) + ms(1)).await;
    lock_and_unlock(&other).await;
}

#[tokio::test(start_paused = true)]
async fn undo_that_was_overtaken_and_forgotten_is_repeated() {
    let late = Fate::BROKEN.arriving(secs(4));
    let (_, one, other) = troubled(Operation::Acquire, [late]);
    one.try_lock(options("job")).await.unwrap_err();
    sleep(secs(1)).await;
    lock_and_unlock(&other).await;
    sleep(secs(4)).await;
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

/// The repetition counts from when an undo was sent: that its answer comes late says nothing of when it was done.
#[tokio::test(start_paused = true)]
async fn undo_that_is_answered_late_is_repeated_all_the_same() {
    let (store, one, other) = troubled(Operation::Acquire, []);
    let (mut acquires, mut releases) = (0, 0);
    store.script(move |call| match call.operation {
        Operation::Acquire => {
            acquires += 1;
            if acquires == 1 { Fate::BROKEN.arriving(ms(4900)) } else { Fate::FINE }
        }
        Operation::Release => {
            releases += 1;
            match releases {
                1 => Fate::BROKEN,
                2 => Fate::FINE.answering(ms(4990)),
                _ => Fate::FINE,
            }
        }
        _ => Fate::FINE,
    });
    one.try_lock(options("job")).await.unwrap_err();
    sleep(secs(1)).await;
    lock_and_unlock(&other).await;
    sleep(LIMIT).await;
    assert!(store.log().contains("acquire #0"), "{}", store.log());
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_doubts_about_one_grant_are_both_settled() {
    let (store, one, other) = troubled(Operation::Acquire, []);
    let mut acquires = 0;
    store.script(move |call| match call.operation {
        // The first breaks at once; the second hangs, and reaches the server four seconds after it was given up.
        Operation::Acquire => {
            acquires += 1;
            if acquires == 1 { Fate::BROKEN } else { Fate::HANG.arriving(secs(9)) }
        }
        _ => Fate::slow(ms(200)),
    });
    let began = Instant::now();
    let gave_up = timeout(secs(1), one.lock(options("job"))).await;
    assert!(gave_up.is_err());
    sleep_until(began + secs(7)).await;
    lock_and_unlock(&other).await;
    sleep_until(began + secs(10)).await;
    assert!(other.inspect("job").await.unwrap().is_some(), "the late acquire was granted");
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn late_duplicate_of_a_released_grant_is_refused() {
    let (store, one, other) = troubled(Operation::Acquire, [Fate::BROKEN.arriving(secs(3))]);
    one.lock(options("job")).await.unwrap().unlock().await.unwrap();
    sleep(secs(3)).await;
    assert!(store.log().contains("Ok([Raced])"), "{}", store.log());
    lock_and_unlock(&other).await;
}

#[tokio::test(start_paused = true)]
async fn late_duplicate_of_a_released_and_forgotten_grant_is_released_again() {
    let (_, one, other) = troubled(Operation::Acquire, [Fate::BROKEN.arriving(secs(3))]);
    one.lock(options("job")).await.unwrap().unlock().await.unwrap();
    sleep(secs(1)).await;
    lock_and_unlock(&other).await;
    sleep(secs(3)).await;
    assert!(other.inspect("job").await.unwrap().is_some(), "the late duplicate was granted");
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn late_duplicate_of_a_released_grant_does_not_keep_its_at_least() {
    let (_, one, other) = troubled(Operation::Acquire, [Fate::BROKEN.arriving(ms(4900))]);
    let began = Instant::now();
    one.lock(options("job").lock_at_least(secs(4))).await.unwrap().unlock().await.unwrap();
    other.lock(options("job")).await.unwrap().unlock().await.unwrap();
    sleep_until(began + ms(4950)).await;
    assert!(other.inspect("job").await.unwrap().is_some(), "the late duplicate was granted");
    taken_soon(&other, "job").await.unlock().await.unwrap();
    assert!(began.elapsed() < secs(6), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn late_duplicate_of_a_grant_that_came_too_late_is_released_again() {
    let short = ms(100);
    let fates = [
        Fate::BROKEN.arriving(secs(4)),
        Fate::FINE.answering(ms(200)),
        Fate::refused(StoreErrorKind::Permission),
    ];
    let (_, one, other) = troubled(Operation::Acquire, fates);
    one.lock(options("job").lock_at_most(short)).await.unwrap_err();
    sleep(secs(1)).await;
    lock_and_unlock(&other).await;
    // What is granted late is as short: held off until it would be seen.
    sleep(secs(2) + ms(900)).await;
    sleep(LIMIT).await;
    lock_and_unlock(&other).await;
}

/// An operator frees a name while a waiter doesn't know yet that it was granted: its grant is refused ever after.
#[tokio::test(start_paused = true)]
async fn waiter_whose_unknown_grant_was_forced_open_asks_under_a_new_one() {
    let (store, one, _) = troubled(Operation::Acquire, [Fate::BROKEN_AFTER]);
    let waiter = tokio::spawn(async move { one.lock(options("job").wait(SOON)).await });
    settle().await;
    store.server.force_unlock(&name("job")).await.unwrap().unwrap();
    let lock = waiter.await.unwrap().unwrap();
    assert!(lock.is_held());
}

#[tokio::test(start_paused = true)]
async fn undo_ends_with_the_lease_that_may_have_been_granted() {
    let (store, one, _) = troubled(Operation::Acquire, []);
    store.script(|_| Fate::BROKEN);
    one.try_lock(options("job")).await.unwrap_err();
    sleep(LEASE + LIMIT * 3).await;
    let tried = store.total();
    assert!(tried > 20, "{tried}");
    sleep(LEASE * 10).await;
    assert_eq!(store.total(), tried, "the server is gone for good");
}

#[tokio::test(start_paused = true)]
async fn release_whose_reply_was_lost_is_retried_and_already_released_is_good_news() {
    for fate in [Fate::BROKEN_AFTER, Fate::BROKEN_AFTER.answering(secs(4))] {
        let (store, one, other) = troubled(Operation::Release, [fate]);
        one.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
        assert_eq!(store.count(Operation::Release), 2);
        assert!(store.log().contains("Ok([AlreadyReleased])"), "{}", store.log());
        lock_and_unlock(&other).await;
    }
}

#[tokio::test(start_paused = true)]
async fn release_whose_request_was_lost_is_retried() {
    for fate in [Fate::BROKEN, Fate::refused(StoreErrorKind::Unavailable)] {
        let (store, one, other) = troubled(Operation::Release, [fate]);
        one.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
        assert_eq!(store.count(Operation::Release), 2);
        lock_and_unlock(&other).await;
    }
}

#[tokio::test(start_paused = true)]
async fn release_that_hangs_is_told_after_the_request_timeout_and_repeated() {
    for fate in [Fate::HANG, Fate::LOST_REPLY] {
        let (store, one, other) = troubled(Operation::Release, [fate]);
        let began = Instant::now();
        let error = one.try_lock(options("job")).await.unwrap().unlock().await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(began.elapsed().as_secs(), 5);
        taken_soon(&other, "job").await.unlock().await.unwrap();
        sleep(secs(1)).await;
        assert_eq!(store.count(Operation::Release), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn release_that_finds_another_holder_says_lost() {
    let (store, one, other) = troubled(Operation::Release, [Fate::BROKEN; 4]);
    let lock = one.try_lock(options("job").lock_at_most(ms(150))).await.unwrap();
    let next = tokio::spawn(async move { other.lock(options("job")).await });
    settle().await;
    let error = lock.unlock().await.unwrap_err();
    assert!(matches!(error, Error::Lost { reason: LostReason::Taken, .. }), "{error}\n{}", store.log());
    assert!(next.await.unwrap().unwrap().is_held());
}

#[tokio::test(start_paused = true)]
async fn release_is_retried_whatever_became_of_the_caller() {
    for by_drop in [false, true] {
        let (store, one, other) = troubled(Operation::Release, [Fate::BROKEN; 20]);
        let lock = one.try_lock(options("job")).await.unwrap();
        match by_drop {
            true => drop(lock),
            false => assert!(timeout(ms(1), lock.unlock()).await.is_err()),
        }
        let began = Instant::now();
        let next = other.lock(options("job")).await.unwrap();
        assert!(began.elapsed() < LEASE * 3 / 4, "{:?}", began.elapsed());
        assert_eq!(store.count(Operation::Release), 21);
        next.unlock().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn unlock_tells_of_a_store_that_stays_away_but_goes_on() {
    let (store, one, other) = troubled(Operation::Release, [Fate::BROKEN; 12]);
    let lock = one.try_lock(options("job")).await.unwrap();
    let began = Instant::now();
    let error = lock.unlock().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!((LIMIT..LIMIT + secs(2)).contains(&began.elapsed()), "{:?}", began.elapsed());
    let tried = store.count(Operation::Release);
    assert!((5..12).contains(&tried), "{tried}");
    other.lock(options("job").wait(LEASE / 2)).await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unlock_tells_of_a_lasting_failure_at_once_but_goes_on() {
    let (_, one, other) = troubled(Operation::Release, [Fate::refused(StoreErrorKind::Permission); 3]);
    let lock = one.try_lock(options("job")).await.unwrap();
    let began = Instant::now();
    let error = lock.unlock().await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(began.elapsed(), ms(0));
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

/// Close to the end of its lease there is no time left for another try before the caller is to be told.
#[tokio::test(start_paused = true)]
async fn unlock_tells_of_a_store_that_stays_away_for_the_rest_of_the_lease() {
    for left in [1, 50, 100, 200, 500, 1_000, 1_500] {
        let (_, one, _) = troubled(Operation::Release, [Fate::BROKEN; 40]);
        let lock = one.try_lock(options("job").lock_at_most(secs(2))).await.unwrap();
        sleep(lock.remaining() - ms(left)).await;
        let error = lock.unlock().await.unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{left} ms were left: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn release_ends_with_the_lease() {
    let (store, one, _) = troubled(Operation::Release, []);
    let lock = one.try_lock(options("job")).await.unwrap();
    store.script(|_| Fate::BROKEN);
    sleep(LEASE / 2).await;
    drop(lock);
    sleep(LEASE / 2).await;
    assert!(store.count(Operation::Release) > 10);
    sleep(LIMIT * 2).await;
    let tried = store.total();
    sleep(LEASE * 10).await;
    assert_eq!(store.total(), tried);
}

/// While the release is on its way, the next in this process waits for it instead of being refused by its own.
#[tokio::test(start_paused = true)]
async fn next_in_line_gets_the_name_though_the_release_had_to_be_repeated() {
    let (store, one, _) = troubled(Operation::Release, [Fate::BROKEN; 3]);
    drop(one.try_lock(options("job")).await.unwrap());
    let began = Instant::now();
    assert!(one.lock(options("job")).await.unwrap().is_held());
    assert!(began.elapsed() < secs(2), "{}", store.log());
}
