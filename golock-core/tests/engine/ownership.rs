//! Only the grant that holds gives back and renews (S5, S6, S8), and `lock_at_least` is kept (S13).

use golock_core::store::Operation;
use golock_core::{Env, Locker, LostReason};
use tokio::time::{Instant, sleep};

use crate::common::{Fate, LEASE, Scripted, ms, name, options, secs, settle, taken_soon};

#[tokio::test(start_paused = true)]
async fn second_locker_is_refused_and_told_who_holds() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store));
    let lock = one.try_lock(options("job").lock_by("worker-1")).await.unwrap();
    sleep(secs(7)).await;

    let refusal = other.try_lock(options("job").lock_by("worker-2")).await.unwrap_err();

    assert!(refusal.is_held());
    let holder = refusal.holder().unwrap();
    assert_eq!(holder.lock_by.as_str(), "worker-1");
    assert_eq!((holder.held_for, holder.remaining), (secs(7), LEASE - secs(7)));
    assert_eq!((holder.token, holder.by_self), (lock.token(), false));
}

#[tokio::test(start_paused = true)]
async fn own_lock_is_refused_as_by_self() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job")).await.unwrap();
    let asked = store.total();

    let refusal = locker.clone().try_lock(options("job")).await.unwrap_err();

    let holder = refusal.holder().unwrap();
    assert_eq!((holder.by_self, holder.token, holder.remaining), (true, lock.token(), lock.remaining()));
    assert_eq!(store.total(), asked, "nothing had to be asked");
}

/// It ran out here a little before it does on the server.
#[tokio::test(start_paused = true)]
async fn lock_that_was_lost_and_is_given_back_stands_in_nobodys_way() {
    for by_drop in [false, true] {
        let store = Scripted::new();
        store.script_for(Operation::Release, [Fate::slow(ms(4))]);
        let locker = Locker::new(store.clone());
        let lock = locker.try_lock(options("job").lock_at_most(secs(1))).await.unwrap();
        assert_eq!(lock.lost().await, LostReason::Expired);
        match by_drop {
            true => drop(lock),
            false => assert!(lock.unlock().await.unwrap_err().is_lost()),
        }
        locker.try_lock(options("job")).await.expect("it is given back first").unlock().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn late_unlock_never_frees_the_next_grant_even_with_the_same_label() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let late = one.try_lock(options("job").lock_at_most(secs(1))).await.unwrap();
    sleep(secs(2)).await;
    let next = other.try_lock(options("job")).await.unwrap();
    assert!(next.token() > late.token());

    let error = late.unlock().await.unwrap_err();

    assert!(error.is_lost(), "{error}");
    settle().await;
    assert!(one.try_lock(options("job")).await.unwrap_err().is_held());
    assert!(next.is_held());
    next.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unlock_by_a_holder_with_a_slow_clock_says_lost_and_changes_nothing() {
    let store = Scripted::new();
    let slow = Locker::builder(store.clone()).env(Env::seeded(1, 0.1)).build();
    let other = Locker::new(store.clone());
    let stale = slow.try_lock(options("job").lock_at_most(secs(1))).await.unwrap();
    sleep(secs(2)).await;
    let next = other.try_lock(options("job")).await.unwrap();
    assert!(stale.is_held(), "its clock says so");

    let error = stale.unlock().await.unwrap_err();

    assert!(matches!(error, golock_core::Error::Lost { reason: LostReason::Taken, .. }), "{error}");
    assert_eq!(store_token(&other).await, Some(next.token()));
    next.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_renewed_after_unlock_or_drop() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    for by_drop in [false, true] {
        let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
        sleep(LEASE).await;
        let renewed = store.count(Operation::Renew);
        assert!(renewed >= 2, "renewed while held");
        match by_drop {
            true => drop(lock),
            false => lock.unlock().await.unwrap(),
        }
        sleep(LEASE * 3).await;
        assert_eq!(store.count(Operation::Renew), renewed);
    }
}

#[tokio::test(start_paused = true)]
async fn renewal_that_arrives_after_unlock_does_not_bring_the_lock_back() {
    let store = Scripted::new();
    store.script_for(Operation::Renew, [Fate::FINE.arriving(secs(2))]);
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
    sleep(LEASE / 3 + ms(1)).await;
    assert_eq!(store.count(Operation::Renew), 1, "on its way");

    lock.unlock().await.unwrap();
    assert_eq!(store_token(&other).await, None);
    sleep(secs(3)).await;

    assert_eq!(store_token(&other).await, None, "{}", store.log());
    taken_soon(&other, "job").await.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn renewal_that_arrives_in_the_next_grant_prolongs_nothing() {
    let store = Scripted::new();
    store.script_for(Operation::Renew, [Fate::FINE.arriving(secs(4))]);
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
    sleep(LEASE / 3 + ms(1)).await;
    lock.unlock().await.unwrap();
    let short = other.try_lock(options("job").lock_at_most(secs(10))).await.unwrap();

    sleep(secs(5)).await;

    let left = other.inspect("job").await.unwrap().unwrap().remaining;
    assert!(left <= secs(5), "{left:?}");
    short.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lock_at_least_is_kept_on_unlock_and_drop_and_no_longer() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    for by_drop in [false, true] {
        let lock = one.try_lock(options("job").lock_at_least(secs(10))).await.unwrap();
        let granted = Instant::now();
        sleep(secs(1)).await;
        match by_drop {
            true => drop(lock),
            false => lock.unlock().await.unwrap(),
        }
        settle().await;
        let refusal = other.try_lock(options("job")).await.unwrap_err();
        assert_eq!(refusal.holder().unwrap().remaining, secs(9));
        let next = other.lock(options("job")).await.unwrap();
        let taken = granted.elapsed();
        assert!((secs(10)..secs(10) + ms(50)).contains(&taken), "{taken:?}");
        next.unlock().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn lock_at_least_that_is_over_keeps_nothing() {
    let locker = Locker::new(Scripted::new());
    let lock = locker.try_lock(options("job").lock_at_least(secs(10))).await.unwrap();
    sleep(secs(11)).await;
    lock.unlock().await.unwrap();
    locker.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn revoked_holder_learns_it_at_its_next_renewal() {
    let store = Scripted::new();
    let (one, operator) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();

    let fence = operator.revoke("job").await.unwrap().unwrap();

    assert!(fence > lock.token());
    assert!(operator.try_lock(options("job")).await.unwrap_err().is_held(), "the lease runs out first");
    let revoked = Instant::now();
    assert_eq!(lock.lost().await, LostReason::Revoked);
    assert!(revoked.elapsed() <= LEASE / 3 + ms(5));
}

#[tokio::test(start_paused = true)]
async fn unlock_after_force_unlock_says_revoked() {
    let locker = Locker::new(Scripted::new());
    let lock = locker.try_lock(options("job")).await.unwrap();
    locker.force_unlock("job").await.unwrap().unwrap();
    let error = lock.unlock().await.unwrap_err();
    assert!(matches!(error, golock_core::Error::Lost { reason: LostReason::Revoked, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn row_deleted_while_held_is_found_by_renewal_and_the_name_works_on() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
    store.server.delete(&name("job"));
    assert_eq!(lock.lost().await, LostReason::RowGone);
    let next = locker.try_lock(options("job")).await.unwrap();
    assert!(next.token() > lock.token());
}

async fn store_token(locker: &Locker) -> Option<golock_core::FencingToken> {
    let info = locker.inspect("job").await.unwrap()?;
    (!info.released).then_some(info.token)
}
