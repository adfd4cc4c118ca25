//! Until when a holder may believe in its lock, and how it learns that it may not (S7, S9, S15).

use std::pin::pin;
use std::task::Poll;

use golock_core::store::Operation;
use golock_core::{Error, ErrorKind, Locker, LostReason};
use tokio::time::{Instant, advance, sleep};

use crate::common::{Events, Fate, LEASE, Scripted, ms, options, poll_once, secs, settle, taken_soon};

#[tokio::test(start_paused = true)]
async fn deadline_counts_from_before_the_request_was_sent() {
    let store = Scripted::new();
    store.script_for(Operation::Acquire, [Fate::FINE.answering(secs(3))]);
    let lock = Locker::new(store).try_lock(options("job")).await.unwrap();
    assert_eq!(lock.remaining(), LEASE - LEASE / 100 - secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_costs_as_much_as_a_slow_answer() {
    let store = Scripted::new();
    store.script_for(Operation::Acquire, [Fate::FINE.arriving(secs(3))]);
    let lock = Locker::new(store).try_lock(options("job")).await.unwrap();
    assert_eq!(lock.remaining(), LEASE - LEASE / 100 - secs(3));
}

#[tokio::test(start_paused = true)]
async fn margin_is_a_share_of_the_lease_and_at_least_a_millisecond() {
    for (margin, lease, kept) in
        [(0.01, secs(10), ms(100)), (0.2, secs(10), secs(2)), (0.01, ms(10), ms(1)), (0.0, secs(10), ms(1))]
    {
        let locker = Locker::builder(Scripted::new()).margin(margin).build();
        let lock = locker.try_lock(options("job").lock_at_most(lease)).await.unwrap();
        assert_eq!(lock.remaining(), lease - kept, "{margin} of {lease:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lost_is_ready_at_the_deadline_not_before_and_at_once_ever_after() {
    let lock = Locker::new(Scripted::new()).try_lock(options("job")).await.unwrap();
    let mut early = pin!(lock.lost());
    assert!(poll_once(early.as_mut()).is_pending());

    advance(LEASE - LEASE / 100 - ms(1)).await;
    assert!(lock.is_held());
    assert!(poll_once(early.as_mut()).is_pending());

    advance(ms(1)).await;
    assert!(!lock.is_held());
    assert_eq!(lock.remaining(), ms(0));
    assert_eq!(poll_once(early.as_mut()), Poll::Ready(LostReason::Expired));
    for _ in 0..3 {
        assert_eq!(poll_once(pin!(lock.lost())), Poll::Ready(LostReason::Expired));
        assert_eq!(poll_once(pin!(lock.watch().lost())), Poll::Ready(LostReason::Expired));
    }
}

/// In real time, on a thread that is kept busy past the deadline: no timer of the runtime has fired yet.
#[tokio::test]
async fn lost_is_ready_at_the_first_poll_after_the_deadline_whatever_the_runtime_has_noticed() {
    let lock = Locker::new(Scripted::new()).try_lock(options("job").lock_at_most(ms(300))).await.unwrap();
    let mut lost = pin!(lock.lost());
    assert!(poll_once(lost.as_mut()).is_pending());
    std::thread::sleep(ms(310));
    assert_eq!(poll_once(lost.as_mut()), Poll::Ready(LostReason::Expired));
}

#[tokio::test]
async fn run_returns_no_value_of_work_that_kept_its_thread_past_the_deadline() {
    let locker = Locker::new(Scripted::new());
    let wanted = options("job").lock_at_most(ms(300));
    let at_once = locker.run(wanted.clone(), async |_| std::thread::sleep(ms(310)));
    assert!(at_once.await.unwrap_err().is_lost());
    let later = locker.run(wanted, async |_| {
        sleep(ms(5)).await;
        std::thread::sleep(ms(310));
        tokio::task::yield_now().await;
    });
    assert!(later.await.unwrap_err().is_lost());
}

#[tokio::test(start_paused = true)]
async fn lost_wakes_whoever_waits_for_it() {
    let lock = Locker::new(Scripted::new()).try_lock(options("job")).await.unwrap();
    let granted = Instant::now();
    let watching = tokio::spawn(lock.watch().lost());
    assert_eq!(watching.await.unwrap(), LostReason::Expired);
    assert!(granted.elapsed() < LEASE - LEASE / 100 + ms(2));
}

#[tokio::test(start_paused = true)]
async fn loss_is_told_once_however_many_look() {
    let events = Events::record();
    let lock = Locker::new(Scripted::new()).try_lock(options("job")).await.unwrap();
    let watchers: Vec<_> = (0..5).map(|_| tokio::spawn(lock.lost())).collect();
    sleep(LEASE).await;
    for watcher in watchers {
        watcher.await.unwrap();
    }
    assert!(!lock.is_held());
    drop(lock);
    settle().await;
    assert_eq!(events.with("lease lost"), 1);
}

#[tokio::test(start_paused = true)]
async fn loss_is_told_even_if_nobody_looks() {
    let events = Events::record();
    let lock = Locker::new(Scripted::new()).try_lock(options("job")).await.unwrap();
    sleep(LEASE).await;
    assert_eq!(events.with("lease lost"), 1);
    drop(lock);
}

#[tokio::test(start_paused = true)]
async fn unlock_is_no_loss() {
    let events = Events::record();
    let locker = Locker::new(Scripted::new());
    let lock = locker.try_lock(options("job")).await.unwrap();
    let (watch, watching) = (lock.watch(), tokio::spawn(lock.lost()));
    lock.unlock().await.unwrap();
    assert!(!watch.is_held());
    sleep(LEASE * 2).await;
    assert!(!watching.is_finished());
    assert!(poll_once(pin!(watch.lost())).is_pending());
    assert_eq!(events.with("lease lost"), 0);
}

/// etcd #11456: an acquire that waited longer than its lease.
#[tokio::test(start_paused = true)]
async fn acquire_that_came_back_too_late_is_no_success_and_is_given_back() {
    let store = Scripted::new();
    store.script_for(Operation::Acquire, [Fate::FINE.answering(ms(1500))]);
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));

    let error = one.try_lock(options("job").lock_at_most(secs(1))).await.unwrap_err();

    assert!(error.kind() == ErrorKind::Store && error.is_transient(), "{error}");
    settle().await;
    assert_eq!(store.count(Operation::Release), 1);
    other.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiter_whose_grant_came_too_late_asks_anew() {
    let store = Scripted::new();
    store.script_for(Operation::Acquire, [Fate::FINE.answering(ms(1500))]);
    let lock = Locker::new(store.clone()).lock(options("job").lock_at_most(secs(1))).await.unwrap();
    assert!(lock.is_held());
    let calls = store.calls(Operation::Acquire);
    assert_ne!(calls[0].grants, calls[1].grants, "the first grant was given back");
}

#[tokio::test(start_paused = true)]
async fn lock_that_its_caller_took_too_late_is_not_handed_out() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store));

    let mut busy = Box::pin(one.try_lock(options("job").lock_at_most(secs(1))));
    assert!(poll_once(busy.as_mut()).is_pending());
    sleep(secs(2)).await;
    assert!(matches!(busy.await, Err(Error::Lost { reason: LostReason::Expired, .. })));
    taken_soon(&other, "job").await.unlock().await.unwrap();

    let mut patient = Box::pin(one.lock(options("job").lock_at_most(secs(1))));
    assert!(poll_once(patient.as_mut()).is_pending());
    sleep(secs(2)).await;
    assert!(patient.await.unwrap().is_held(), "it asked again");
}

#[tokio::test(start_paused = true)]
async fn lost_reply_of_a_renewal_counts_from_the_last_confirmed_send() {
    let store = Scripted::new();
    store.script({
        let mut renewals = 0;
        move |call| match call.operation {
            Operation::Renew => {
                renewals += 1;
                if renewals == 1 { Fate::FINE } else { Fate::LOST_REPLY }
            }
            _ => Fate::FINE,
        }
    });
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
    let granted = Instant::now();

    assert_eq!(lock.lost().await, LostReason::Expired);

    let confirmed = store.calls(Operation::Renew)[0].at;
    assert_eq!(Instant::now().duration_since(confirmed).as_millis(), (LEASE - LEASE / 100).as_millis());
    assert!(granted.elapsed() > LEASE);
    let left = locker.inspect("job").await.unwrap().unwrap().remaining;
    assert!(left > secs(20), "the server had renewed it, {left:?}");
}

#[tokio::test(start_paused = true)]
async fn renewal_that_arrives_after_an_extension_shortens_nothing() {
    let store = Scripted::new();
    let mut renewals = 0;
    store.script(move |call| match call.operation {
        Operation::Renew => {
            renewals += 1;
            if renewals == 1 { Fate::slow(secs(4)) } else { Fate::FINE }
        }
        _ => Fate::FINE,
    });
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
    sleep(LEASE / 3 + ms(10)).await;
    assert_eq!(store.count(Operation::Renew), 1, "on its way");

    lock.extend(secs(3600)).await.unwrap();
    sleep(secs(5)).await;

    let (believed, left) = (lock.remaining(), locker.inspect("job").await.unwrap().unwrap().remaining);
    assert_eq!(left, secs(3595));
    assert_eq!(believed, secs(3595) - secs(36));
    // Nor do later renewals of the shorter lease.
    sleep(secs(100)).await;
    assert_eq!(lock.remaining(), secs(3495) - secs(36));
}

#[tokio::test(start_paused = true)]
async fn shorter_extension_shortens_nothing() {
    let locker = Locker::new(Scripted::new());
    let lock = locker.try_lock(options("job")).await.unwrap();
    let before = lock.remaining();
    lock.extend(secs(1)).await.unwrap();
    assert_eq!(lock.remaining(), before);
    assert_eq!(locker.inspect("job").await.unwrap().unwrap().remaining, LEASE);
}

#[tokio::test(start_paused = true)]
async fn extension_of_a_lost_lock_says_lost_and_revives_nothing() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").lock_at_most(secs(1))).await.unwrap();
    sleep(secs(1)).await;
    assert!(lock.extend(LEASE).await.unwrap_err().is_lost());
    assert_eq!(locker.inspect("job").await.unwrap(), None);
    assert_eq!(store.count(Operation::Renew), 0);
}

#[tokio::test(start_paused = true)]
async fn extension_that_arrives_after_expiry_revives_nothing() {
    let store = Scripted::new();
    store.script_for(Operation::Renew, [Fate::FINE.arriving(secs(2))]);
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").lock_at_most(secs(1))).await.unwrap();
    assert!(lock.extend(LEASE).await.unwrap_err().is_lost());
    assert!(!lock.is_held());
    sleep(secs(2)).await;
    assert_eq!(locker.inspect("job").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn run_drops_its_work_before_the_lease_ends_on_the_server() {
    let store = Scripted::new();
    let (locker, other) = (Locker::new(store.clone()), Locker::new(store));
    let began = Instant::now();
    let work = locker.run(options("job"), async |lock| {
        sleep(LEASE * 2).await;
        lock.token()
    });
    assert!(work.await.unwrap_err().is_lost());
    assert!(began.elapsed() < LEASE);
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn work_that_is_tried_runs_now_or_not_at_all() {
    let store = Scripted::new();
    let (locker, other) = (Locker::new(store.clone()), Locker::new(store));
    let lock = other.try_lock(options("job")).await.unwrap();
    let began = Instant::now();
    let refused = locker.try_run(options("job"), async |_| unreachable!("another holds the lock")).await;
    assert!(refused.is_err_and(|refused: Error| refused.is_held()));
    assert!(began.elapsed() < secs(1));
    lock.unlock().await.unwrap();
    let token = locker.try_run(options("job"), async |lock| lock.token()).await.unwrap();
    assert!(other.try_lock(options("job")).await.unwrap().token() > token);
}

#[tokio::test(start_paused = true)]
async fn run_returns_the_value_of_work_that_ended_in_time_and_unlocks() {
    let store = Scripted::new();
    let (locker, other) = (Locker::new(store.clone()), Locker::new(store));
    let token = locker.run(options("job"), async |lock| lock.token()).await.unwrap();
    let next = other.try_lock(options("job")).await.unwrap();
    assert!(next.token() > token);
}

/// The first release was done, and another has had the name since; or none came through before the lease was over by itself. Nobody has
/// worked beside it.
#[tokio::test(start_paused = true)]
async fn run_returns_the_value_of_work_whose_release_had_to_be_repeated() {
    for fates in [vec![Fate::BROKEN_AFTER], vec![Fate::UNREACHED; 30]] {
        let store = Scripted::new();
        let (locker, other) = (Locker::new(store.clone()), Locker::new(Scripted::on(store.server.clone())));
        store.script_for(Operation::Release, fates);
        let events = Events::record();
        let working = tokio::spawn(async move {
            locker.run(options("job").lock_at_most(secs(2)), async |lock| lock.token()).await
        });
        settle().await;
        let next = other.lock(options("job")).await.unwrap();
        assert!(working.await.unwrap().unwrap() < next.token());
        assert_eq!(events.with("lease lost"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn extension_that_hangs_ends_with_the_lease_as_a_loss() {
    let store = Scripted::new();
    let lock = Locker::new(store.clone()).try_lock(options("job").lock_at_most(secs(2))).await.unwrap();
    store.script_for(Operation::Renew, [Fate::HANG]);
    let (began, remaining) = (Instant::now(), lock.remaining());
    assert!(lock.extend(LEASE).await.unwrap_err().is_lost());
    assert_eq!(began.elapsed(), remaining);
}

/// A renewal may move its end meanwhile.
#[tokio::test(start_paused = true)]
async fn extension_of_a_renewed_lease_has_the_time_of_a_call() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").lock_at_most(secs(1)).auto_renew(true)).await.unwrap();
    store.script_for(Operation::Renew, [Fate::slow(secs(3))]);
    lock.extend(secs(3600)).await.unwrap();
    assert!(lock.remaining() > secs(3500));
}
