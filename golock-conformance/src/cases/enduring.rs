//! A server that is killed, a pool that is taken, a row that somebody else locks.

use std::time::Duration;

use golock_core::Locker;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::locking::{done, held, options};
use super::tokens::restart;
use crate::client::{Client, LONG, ok};
use crate::context::{Context, SHARED_SPACE, new_grant};
use crate::crash::polled;
use crate::effort;
use crate::patience::{Patience, joined, unpanicked, within_reason};

pub(crate) async fn killed_connections_are_replaced(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.locker().await);
    let (kept, awaited) = (cx.name("kept"), cx.name("awaited"));
    let lock = held(locker.try_lock(options(&kept, Duration::from_secs(10)).auto_renew(true)).await);
    let first = held(locker.try_lock(options(&awaited, LONG)).await);
    let waiting = tokio::spawn({
        let (other, options) = (other.clone(), options(&awaited, LONG));
        async move { other.lock(options).await }
    });
    for _ in 0..3 {
        done(cx.connections().kill_connections().await);
        let again = within_reason("a lock", locker.lock(options(&cx.name("after"), LONG))).await;
        done(within_reason("the unlock", held(again).unlock()).await);
    }
    assert!(lock.is_held());
    done(within_reason("the unlock", first.unlock()).await);
    done(held(within_reason("the waiter", joined(waiting)).await).unlock().await);
    let client = cx.client().await;
    assert_eq!(client.refused(&kept).await.token, lock.token());
    done(within_reason("the unlock", lock.unlock()).await);
}

pub(crate) async fn lock_survives_a_restart_of_the_server(cx: &Context<'_>) {
    let locker = cx.locker().await;
    let (kept, short) = (cx.name("kept"), cx.name("short"));
    let lock = held(locker.try_lock(options(&kept, Duration::from_secs(60)).auto_renew(true)).await);
    let lost = held(locker.try_lock(options(&short, Duration::from_millis(500))).await);

    restart(cx).await;

    // Back in time for the one, too late for the other; the locker was not rebuilt.
    let mut patience = Patience::for_("the lease to be extended after the restart");
    while let Err(error) = lock.extend(Duration::from_secs(60)).await {
        assert!(!error.is_lost(), "a lease of 60 s was lost: {error}");
        patience.pause().await;
    }
    assert!(lock.is_held());
    within_reason("the short lease to be lost", lost.lost()).await;
    let other = cx.client().await;
    assert_eq!(other.refused(&kept).await.token, lock.token());
    let again = held(within_reason("a lock", locker.lock(options(&short, LONG))).await);
    assert!(again.token() > lost.token());
    done(again.unlock().await);
    done(lock.unlock().await);
    other.take(&kept, LONG).await;
}

pub(crate) async fn holder_survives_while_the_application_has_the_pool(cx: &Context<'_>) {
    let pool = done(cx.small_pool().pool_of_one(SHARED_SPACE).await);
    let (locker, other) = (Locker::new(pool.store), cx.client().await);
    let name = cx.name("kept");
    let lease = Duration::from_secs(6);
    let lock = held(locker.lock(options(&name, lease).auto_renew(true)).await);

    let taken = done(pool.application.take_connection().await);
    let begun = Instant::now();
    while begun.elapsed() < lease * effort::outlived() {
        assert!(lock.is_held(), "lost after {:?}", begun.elapsed());
        assert_eq!(other.refused(&name).await.token, lock.token());
        time::sleep(lease / 8).await;
    }
    // An acquire needs the pool, and ends all the same.
    let refused = within_reason("an answer", locker.try_lock(options(&cx.name("new"), LONG))).await;
    if let Err(error) = refused {
        assert!(error.is_transient() && !error.is_held(), "{error:?}");
    }
    done(within_reason("the unlock", lock.unlock()).await);
    other.take(&name, LONG).await;
    drop(taken);
    done(held(within_reason("a lock", locker.lock(options(&cx.name("after"), LONG))).await).unlock().await);
}

pub(crate) async fn pool_of_one_serves_64_waiters(cx: &Context<'_>) {
    let pool = done(cx.small_pool().pool_of_one(SHARED_SPACE).await);
    let locker = Locker::new(pool.store);
    let name = cx.name("crowded");
    let mut waiters = JoinSet::new();
    for at in 0..64 {
        let locker = locker.clone();
        // Half of them on one name, half on names of their own.
        let name = if at % 2 == 0 { name.clone() } else { cx.name("own") };
        waiters.spawn(async move {
            done(held(locker.lock(options(&name, LONG)).await).unlock().await);
        });
    }
    while let Some(ended) = waiters.join_next().await {
        unpanicked(ended);
    }
}

pub(crate) async fn locked_row_costs_one_lease_only(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let lease = Duration::from_secs(6);
    let mut locks = Vec::new();
    for name in cx.names("kept", 40) {
        locks.push(held(locker.try_lock(options(&name, lease).auto_renew(true)).await));
    }
    let blocked = locks.remove(20);
    let transaction = done(cx.row_lock().lock_row(SHARED_SPACE, blocked.name()).await);
    within_reason("the lease of the locked row to be lost", blocked.lost()).await;
    let begun = Instant::now();
    while begun.elapsed() < lease {
        for lock in &locks {
            assert!(lock.is_held(), "{:?} was lost with {:?}", lock.name(), blocked.name());
        }
        time::sleep(lease / 20).await;
    }
    drop(transaction);
    for lock in &locks {
        assert_eq!(other.refused(lock.name()).await.token, lock.token());
    }
    other.take_when_free(blocked.name(), LONG).await;
}

pub(crate) async fn locked_row_keeps_no_other_name_waiting(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let names = cx.names("together", 40);
    let (blocked, others) = (&names[20], [&names[..20], &names[21..]].concat());
    // There is a row, and it is free.
    other.release(&other.take(blocked, LONG).await).await;
    let transaction = done(cx.row_lock().lock_row(SHARED_SPACE, blocked).await);
    // The row stays locked until they have theirs. On a busy machine a statement may take longer than its store lets it: again.
    let lock = |name| locker.lock(options(name, LONG).wait(effort::GIVE_UP));
    let all = futures_util::future::join_all(others.iter().map(lock));
    let refused = locker.try_lock(options(blocked, LONG));
    let (refused, locks) = within_reason("the locks", async { tokio::join!(refused, all) }).await;
    assert!(refused.is_err(), "granted a row that a transaction has locked");
    let mut locks: Vec<_> = locks.into_iter().map(held).collect();
    drop(transaction);

    let blocked = locks.remove(10);
    let transaction = done(cx.row_lock().lock_row(SHARED_SPACE, blocked.name()).await);
    let name = blocked.name().clone();
    let all = futures_util::future::join_all(locks.into_iter().map(golock_core::Lock::unlock));
    let (refused, unlocked) =
        within_reason("the unlocks", async { tokio::join!(blocked.unlock(), all) }).await;
    assert!(refused.is_err(), "released a row that a transaction has locked");
    for outcome in unlocked {
        if let Err(error) = outcome {
            panic!("not unlocked: {}", crate::context::chain(&error));
        }
    }
    for name in others.iter().filter(|other| **other != name) {
        assert_eq!(other.inspect(name).await, None);
    }
    drop(transaction);
    other.take_when_free(&name, LONG).await;
}

pub(crate) async fn abandoned_acquire_does_not_take_the_row_later(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("free");
    other.release(&other.take(&name, LONG).await).await;
    let transaction = done(cx.row_lock().lock_row(SHARED_SPACE, &name).await);
    // Sent, and blocked at the server by the row lock, when its client goes away.
    let blocked = time::timeout(Duration::from_millis(500), client.try_take(&name, LONG)).await;
    drop(client);
    // Longer than the store says that any statement of its runs.
    time::sleep(other.store.capabilities().request_timeout + Duration::from_secs(1)).await;
    drop(transaction);
    if let Ok(Ok(grant)) = blocked {
        panic!("granted a row that a transaction has locked: {grant:?}");
    }
    for _ in 0..20 {
        assert_eq!(other.inspect(&name).await, None, "the abandoned acquire took the row");
        time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn acquire_that_waited_reports_what_is_left(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("free");
    other.release(&other.take(&name, LONG).await).await;
    let transaction = done(cx.row_lock().lock_row(SHARED_SPACE, &name).await);
    let lease = Duration::from_secs(20);
    let acquiring = tokio::spawn(async move {
        loop {
            // A store may refuse to wait for the row: then it is asked again.
            let request = golock_core::store::AcquireRequest::new(
                name.clone(),
                new_grant(),
                crate::client::label(crate::client::LABEL),
                lease,
            );
            match client.store.acquire(&[request]).await {
                Err(error) if error.is_transient() => {}
                answers => match ok(answers).remove(0) {
                    golock_core::store::AcquireAnswer::Granted { remaining, .. } => return (name, remaining),
                    _ => time::sleep(Duration::from_millis(20)).await,
                },
            }
        }
    });
    time::sleep(Duration::from_secs(2)).await;
    let let_go = Instant::now();
    drop(transaction);
    let (name, reported) = within_reason("the acquire", joined(acquiring)).await;
    let info = other.info(&name).await;
    // The lease ends at `info.remaining` from now at the latest, and was granted after the row was let go.
    let truth = info.remaining + let_go.elapsed();
    assert!(reported <= truth + lease / 100, "{reported:?} were reported, {truth:?} were left at most");
}

pub(crate) async fn blocked_calls_end(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let (name, free) = (cx.name("blocked"), cx.name("free"));
    let grant = other.take(&name, LONG).await;
    let transaction = done(cx.row_lock().lock_row(SHARED_SPACE, &name).await);
    let release = [golock_core::store::ReleaseRequest::new(name.clone(), grant.id, Duration::ZERO)];
    let released = within_reason("the release", client.store.release(&release)).await;
    if let Err(error) = &released {
        assert!(error.is_transient(), "{}", crate::context::chain(error));
    } else {
        panic!("released a row that a transaction has locked: {released:?}");
    }
    // Meanwhile other names are served by the same client.
    within_reason("another name", still_serves(&client, &free)).await;
    drop(transaction);
    polled(client.store.release(&release), 1).await;
    let mut patience = Patience::for_("the release");
    while client.store.release(&release).await.is_err() {
        patience.pause().await;
    }
    assert_eq!(other.inspect(&name).await, None);
}

async fn still_serves(client: &Client, name: &golock_core::LockName) {
    client.release(&client.take(name, LONG).await).await;
}
