//! A locker over the store: locks, their ends, and what their holders are told.

use std::time::Duration;

use golock_core::{Error, ErrorKind, LockOptions, LostReason};
use tokio::time::Instant;

use crate::client::LONG;
use crate::context::{Context, SHARED_SPACE};
use crate::crash::{lock_whose_runtime_ends, on_a_plain_thread};
use crate::effort;
use crate::patience::{joined, within_reason};

pub(crate) async fn locked_name_is_held_until_it_is_unlocked(cx: &Context<'_>) {
    let (first, second) = (cx.locker().await, cx.locker().await);
    let name = cx.name("locked");
    let lock = held(first.try_lock(options(&name, LONG).lock_by("worker-1")).await);
    assert_eq!((lock.name(), lock.lock_by().as_str()), (&name, "worker-1"));
    assert!(lock.is_held());
    assert!(lock.remaining() <= LONG - LONG / 100, "without a margin: {:?}", lock.remaining());

    let refused = second.try_lock(options(&name, LONG)).await;
    let holder = refused.as_ref().err().and_then(Error::holder).cloned();
    let Some(holder) = holder else { panic!("the name is held: {refused:?}") };
    assert_eq!((holder.lock_by.as_str(), holder.token, holder.by_self), ("worker-1", lock.token(), false));

    let token = lock.token();
    done(lock.unlock().await);
    let lock = held(second.try_lock(options(&name, LONG)).await);
    assert!(lock.token() > token, "{} does not follow {token}", lock.token());
    done(lock.unlock().await);
    assert_eq!(cx.client().await.inspect(&name).await, None);
}

pub(crate) async fn a_locker_refuses_what_it_holds_itself(cx: &Context<'_>) {
    let locker = cx.locker().await;
    let name = cx.name("locked");
    let lock = held(locker.try_lock(options(&name, LONG)).await);
    let refused = locker.clone().try_lock(options(&name, LONG)).await;
    let by_self = refused.as_ref().err().and_then(Error::holder).map(|holder| (holder.by_self, holder.token));
    assert_eq!(by_self, Some((true, lock.token())), "{refused:?}");
    done(lock.unlock().await);
    done(held(locker.try_lock(options(&name, LONG)).await).unlock().await);
}

pub(crate) async fn impossible_input_is_refused(cx: &Context<'_>) {
    let locker = cx.locker().await;
    let name = cx.name("never");
    let good = || options(&name, LONG);
    let bad = [
        LockOptions::new(""),
        LockOptions::new("a\0b"),
        LockOptions::new("a".repeat(256)),
        LockOptions::new("é".repeat(128)),
        good().lock_by(""),
        good().lock_by("two\nlines"),
        good().lock_by("a".repeat(256)),
        good().lock_at_most(Duration::ZERO),
        good().lock_at_most(Duration::from_micros(9_999)),
        good().lock_at_most(Duration::MAX),
        good().lock_at_most(Duration::from_secs(1)).lock_at_least(Duration::from_secs(2)),
    ];
    for options in bad {
        let shown = format!("{options:?}");
        let refused = locker.try_lock(options).await.map_err(|error| error.kind());
        assert!(matches!(refused, Err(ErrorKind::Invalid)), "{shown}: {refused:?}");
    }
    assert_eq!(cx.client().await.inspect(&name).await, None);
}

pub(crate) async fn auto_renewed_lock_outlives_its_lease(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let name = cx.name("renewed");
    let lease = Duration::from_secs(6);
    let lock = held(locker.try_lock(options(&name, lease).auto_renew(true)).await);
    let begun = Instant::now();
    while begun.elapsed() < lease + lease / 2 {
        assert!(lock.is_held(), "lost after {:?}", begun.elapsed());
        assert_eq!(other.refused(&name).await.token, lock.token(), "after {:?}", begun.elapsed());
        tokio::time::sleep(lease / 8).await;
    }
    done(lock.unlock().await);
    other.take(&name, LONG).await;
}

pub(crate) async fn extended_lock_outlives_its_lease(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let name = cx.name("extended");
    let lock = held(locker.try_lock(options(&name, Duration::from_secs(20))).await);
    done(lock.extend(LONG).await);
    assert!(lock.remaining() > LONG / 2, "{:?} remain", lock.remaining());
    assert!(other.refused(&name).await.remaining > LONG / 2);
    // A shorter one shortens nothing.
    done(lock.extend(Duration::from_secs(1)).await);
    assert!(lock.remaining() > LONG / 2, "{:?} remain", lock.remaining());
    assert!(other.refused(&name).await.remaining > LONG / 2);
    done(lock.unlock().await);
}

pub(crate) async fn holder_learns_that_its_lease_ended(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let name = cx.name("expiring");
    let lock = held(locker.try_lock(options(&name, Duration::from_secs(2))).await);
    assert_eq!(within_reason("the lease to be lost", lock.lost()).await, LostReason::Expired);
    assert!(!lock.is_held());
    assert_eq!(lock.remaining(), Duration::ZERO);
    assert_eq!(lock.watch().lost().await, LostReason::Expired, "at once ever after");

    let next = other.take_when_free(&name, LONG).await;
    let error = lock.unlock().await;
    assert!(matches!(&error, Err(error) if error.is_lost()), "unlocked what it had lost: {error:?}");
    other.renewed(&next, LONG).await;
}

pub(crate) async fn holder_learns_that_it_was_revoked(cx: &Context<'_>) {
    let (locker, operator) = (cx.locker().await, cx.locker().await);
    for forced in [false, true] {
        let name = cx.name("revoked");
        let lock = held(locker.try_lock(options(&name, Duration::from_secs(3)).auto_renew(true)).await);
        let fence = if forced {
            operator.force_unlock(name.as_str()).await
        } else {
            operator.revoke(name.as_str()).await
        };
        let fence = done(fence);
        assert!(fence > Some(lock.token()), "{fence:?} does not fence {}", lock.token());
        let reason = within_reason("the holder to be told", lock.lost()).await;
        // Whoever sleeps for a lease on a busy machine learns no more than that it is over.
        assert!(matches!(reason, LostReason::Revoked | LostReason::Expired), "{reason:?}");
        let error = lock.unlock().await;
        assert!(matches!(&error, Err(error) if error.is_lost()), "unlocked what it had lost: {error:?}");
        let next = within_reason("the next lock", operator.lock(options(&name, LONG))).await;
        let next = held(next);
        assert!(Some(next.token()) > fence);
        done(next.unlock().await);
    }
}

pub(crate) async fn holder_learns_that_its_row_was_deleted(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let name = cx.name("deleted");
    let lock = held(locker.try_lock(options(&name, Duration::from_secs(6)).auto_renew(true)).await);
    done(cx.damage().delete_row(SHARED_SPACE, &name).await);
    let reason = within_reason("the holder to be told", lock.lost()).await;
    assert!(matches!(reason, LostReason::RowGone | LostReason::Expired), "{reason:?}");
    let next = other.take(&name, LONG).await;
    assert!(next.token > lock.token(), "{} does not follow {}", next.token, lock.token());
    let error = lock.unlock().await;
    assert!(matches!(&error, Err(error) if error.is_lost()), "unlocked what it had lost: {error:?}");
    other.renewed(&next, LONG).await;
}

pub(crate) async fn holders_learn_that_everything_was_deleted(cx: &Context<'_>) {
    let space = cx.own_space();
    let locker = cx.locker_in(&space).await;
    let mut locks = Vec::new();
    for name in cx.names("deleted", 5) {
        let options = options(&name, Duration::from_secs(6)).auto_renew(true);
        locks.push(held(locker.try_lock(options).await));
    }
    done(cx.damage().delete_all(&space).await);
    for lock in locks {
        let reason = within_reason("the holder to be told", lock.lost()).await;
        assert!(matches!(reason, LostReason::RowGone | LostReason::Expired), "{reason:?}");
        let again = held(locker.lock(options(lock.name(), LONG)).await);
        assert!(again.token() > lock.token(), "{} does not follow {}", again.token(), lock.token());
    }
}

pub(crate) async fn run_unlocks_when_its_work_has_ended(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let name = cx.name("run");
    let seen =
        locker.run(options(&name, LONG), async |lock| (lock.token(), other.refused(&name).await.token)).await;
    let (token, held_under) = done(seen);
    assert_eq!(token, held_under);
    other.take(&name, LONG).await;
}

pub(crate) async fn run_drops_its_work_when_the_lease_is_lost(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let name = cx.name("run");
    let (dropped, work_dropped) = tokio::sync::oneshot::channel::<()>();
    let work = async move |_lock| {
        let _dropped = dropped;
        std::future::pending::<()>().await;
    };
    let error =
        within_reason("the work to be dropped", locker.run(options(&name, Duration::from_secs(2)), work))
            .await;
    assert!(matches!(&error, Err(error) if error.is_lost()), "{error:?}");
    assert!(work_dropped.await.is_err(), "the work goes on");
    other.take_when_free(&name, LONG).await;
}

pub(crate) async fn shutdown_closes_the_locker(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let (left, waited_for) = (cx.name("left"), cx.name("waited-for"));
    let _holder = other.take(&waited_for, LONG).await;
    let lock = held(locker.try_lock(options(&left, Duration::from_secs(2)).auto_renew(true)).await);
    let waiting = tokio::spawn({
        let (locker, options) = (locker.clone(), options(&waited_for, LONG));
        async move { locker.lock(options).await.map_err(|error| error.kind()) }
    });

    let left_over = within_reason("the shutdown", locker.shutdown(Duration::from_millis(100))).await;
    assert_eq!(left_over, 1, "one lock was left");
    let waiter = within_reason("the waiter", joined(waiting)).await;
    assert!(matches!(waiter, Err(ErrorKind::Closed)), "{waiter:?}");
    let refused = locker.try_lock(options(&cx.name("new"), LONG)).await.map_err(|error| error.kind());
    assert!(matches!(refused, Err(ErrorKind::Closed)), "{refused:?}");
    // Renewed by nobody any more, it runs out, and its holder knows.
    within_reason("the lock that was left to run out", lock.lost()).await;
    other.take_when_free(&left, LONG).await;
}

pub(crate) async fn lock_at_least_is_kept_after_a_crash(cx: &Context<'_>) {
    let (store, other) = (cx.store_in(SHARED_SPACE).await, cx.client().await);
    let name = cx.name("kept");
    let at_least = Duration::from_secs(2);
    let granted = Instant::now();
    // The holder's runtime ends before anything could be given back.
    let options = options(&name, Duration::from_secs(3)).lock_at_least(at_least);
    on_a_plain_thread(move || drop(held(lock_whose_runtime_ends(store, options)))).await;
    other.take_when_free(&name, LONG).await;
    let kept = granted.elapsed();
    assert!(kept >= at_least - at_least / 100, "kept for {kept:?} of {at_least:?}");
}

pub(crate) async fn many_leases_of_one_locker_are_kept(cx: &Context<'_>) {
    // Long enough for renewals on a machine that has twenty others at work for each processor.
    let lease = Duration::from_secs(12);
    // Fewer on a server that is slow to grant them, for it would be as slow to renew them.
    keep_leases(cx, effort::leases(), lease, lease / 6).await;
}

pub(crate) async fn ten_thousand_leases_of_one_locker_are_kept(cx: &Context<'_>) {
    keep_leases(cx, 10_000, Duration::from_secs(30), Duration::MAX).await;
}

/// As many leases as are granted `within` a time, `count` at most.
async fn keep_leases(cx: &Context<'_>, count: usize, lease: Duration, within: Duration) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let asked = Instant::now();
    let mut locks = Vec::new();
    for name in cx.names("kept", count) {
        let options = options(&name, lease).auto_renew(true);
        locks.push(held(locker.try_lock(options).await));
        if asked.elapsed() > within && locks.len() > 20 {
            break;
        }
    }
    let (all_held, begun) = (asked.elapsed(), Instant::now());
    // Each is renewed four times.
    while begun.elapsed() < lease * 3 / 2 {
        let lost = locks.iter().filter(|lock| !lock.is_held()).count();
        let since = begun.elapsed();
        assert_eq!(lost, 0, "of {}, granted within {all_held:?}, were lost {since:?} later", locks.len());
        tokio::time::sleep(lease / 10).await;
    }
    for lock in locks.iter().step_by(locks.len() / 20) {
        assert_eq!(other.refused(lock.name()).await.token, lock.token());
    }
    let (first, rest) = (locks.remove(0), locks);
    done(first.unlock().await);
    let names: Vec<_> = rest.iter().map(|lock| lock.name().clone()).collect();
    drop(rest);
    for name in names.iter().step_by(names.len() / 20) {
        other.until_free(name).await;
    }
}

pub(super) fn options(name: &golock_core::LockName, lease: Duration) -> LockOptions {
    LockOptions::new(name.as_str()).lock_at_most(lease)
}

#[track_caller]
pub(super) fn held(result: Result<golock_core::Lock, Error>) -> golock_core::Lock {
    match result {
        Ok(lock) => lock,
        Err(error) => panic!("no lock: {}", crate::context::chain(&error)),
    }
}

#[track_caller]
pub(super) fn done<T, E: Into<crate::BoxError>>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{}", crate::context::chain(&*error.into())),
    }
}
