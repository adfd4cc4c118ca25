//! Waiting for a name that another holds.

use std::sync::Arc;
use std::time::Duration;

use golock_core::{Error, ErrorKind};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::locking::{done, held, options};
use crate::client::LONG;
use crate::context::Context;
use crate::effort;
use crate::patience::{joined, unpanicked, within_reason};

pub(crate) async fn waiter_gets_the_lock_when_it_is_released(cx: &Context<'_>) {
    let (holder, waiter) = (cx.locker().await, cx.locker().await);
    let name = cx.name("awaited");
    let lock = held(holder.try_lock(options(&name, LONG)).await);
    let token = lock.token();
    let waiting = tokio::spawn({
        let options = options(&name, LONG);
        async move { waiter.lock(options).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "the name is held");
    done(lock.unlock().await);
    let lock = held(within_reason("the waiter", joined(waiting)).await);
    assert!(lock.token() > token);
    done(lock.unlock().await);
}

pub(crate) async fn waiter_gets_the_lock_of_a_crashed_holder(cx: &Context<'_>) {
    let (crashed, waiter) = (cx.client().await, cx.locker().await);
    let name = cx.name("awaited");
    let asked = Instant::now();
    let lease = Duration::from_secs(2);
    let grant = crashed.take(&name, lease).await;
    drop(crashed);
    let lock = held(within_reason("the waiter", waiter.lock(options(&name, LONG))).await);
    assert!(lock.token() > grant.token);
    assert!(asked.elapsed() >= lease - lease / 100, "a lease of {lease:?} ended after {:?}", asked.elapsed());
    done(lock.unlock().await);
}

pub(crate) async fn waiter_gets_the_lock_at_the_end_of_lock_at_least(cx: &Context<'_>) {
    let (holder, waiter) = (cx.locker().await, cx.locker().await);
    let name = cx.name("awaited");
    let asked = Instant::now();
    let at_least = Duration::from_secs(3);
    let lock = held(holder.try_lock(options(&name, LONG).lock_at_least(at_least)).await);
    let waiting = tokio::spawn({
        let options = options(&name, LONG);
        async move { waiter.lock(options).await }
    });
    // It sleeps by now, for as long as the lease lasts by what it was told.
    tokio::time::sleep(at_least / 4).await;
    done(lock.unlock().await);
    let lock = held(within_reason("the waiter", joined(waiting)).await);
    assert!(asked.elapsed() >= at_least - at_least / 100, "taken after {:?}", asked.elapsed());
    done(lock.unlock().await);
}

pub(crate) async fn wait_that_times_out_leaves_nothing(cx: &Context<'_>) {
    let (holder, waiter) = (cx.client().await, cx.locker().await);
    let name = cx.name("awaited");
    let grant = holder.take(&name, LONG).await;
    let wait = Duration::from_millis(300);
    let asked = Instant::now();
    let refused = within_reason("the wait to end", waiter.lock(options(&name, LONG).wait(wait))).await;
    assert!(asked.elapsed() >= wait, "gave up after {:?} of {wait:?}", asked.elapsed());
    let told = refused.as_ref().err().and_then(Error::holder).map(|holder| holder.token);
    assert_eq!(told, Some(grant.token), "{refused:?}");

    // Nobody stands in line any more: the name stays free once it is.
    holder.release(&grant).await;
    assert_eq!(holder.inspect(&name).await, None);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(holder.inspect(&name).await, None, "granted to whom nobody waits for");
    done(held(waiter.try_lock(options(&name, LONG)).await).unlock().await);
}

pub(crate) async fn waiters_of_one_locker_are_served_in_order(cx: &Context<'_>) {
    let (holder, locker) = (cx.client().await, cx.locker().await);
    let name = cx.name("line");
    let grant = holder.take(&name, LONG).await;
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = JoinSet::new();
    for at in 0..10 {
        let mut waiting = Box::pin({
            let (locker, options) = (locker.clone(), options(&name, LONG));
            async move { locker.lock(options).await }
        });
        // It is in line when it has been polled.
        assert!(crate::crash::polled(&mut waiting, 1).await.is_none(), "the name is held");
        let served = Arc::clone(&served);
        waiters.spawn(async move {
            let lock = held(waiting.await);
            served.lock().await.push(at);
            done(lock.unlock().await);
        });
    }
    let refused = locker.try_lock(options(&name, LONG)).await.map_err(|error| error.kind());
    assert!(
        matches!(refused, Err(ErrorKind::Held | ErrorKind::WaitTimeout)),
        "it went past the line: {refused:?}"
    );
    holder.release(&grant).await;
    within_reason("ten waiters", async {
        while let Some(ended) = waiters.join_next().await {
            unpanicked(ended);
        }
    })
    .await;
    assert_eq!(*served.lock().await, (0..10).collect::<Vec<_>>());
}

pub(crate) async fn no_wakeup_is_lost_between_try_and_subscribe(cx: &Context<'_>) {
    for round in 0..effort::rounds() {
        // A fresh locker each time, so that it has yet to subscribe.
        let (holder, waiter) = (cx.client().await.patient(), cx.locker().await);
        let name = cx.name("awaited");
        let grant = holder.take(&name, LONG).await;
        let waiting = tokio::spawn({
            let options = options(&name, LONG);
            async move { waiter.lock(options).await }
        });
        // Freed at another moment each round: while it tries, subscribes, marks, tries again, sleeps.
        tokio::time::sleep(Duration::from_micros(700 * round as u64)).await;
        holder.release(&grant).await;
        let lock = within_reason("a waiter whose lock is free", joined(waiting)).await;
        done(held(lock).unlock().await);
    }
}

pub(crate) async fn hundreds_of_waiters_all_get_their_turn(cx: &Context<'_>) {
    serve_waiters(cx, effort::waiters()).await;
}

pub(crate) async fn a_thousand_waiters_all_get_their_turn(cx: &Context<'_>) {
    serve_waiters(cx, 1_000).await;
}

async fn serve_waiters(cx: &Context<'_>, count: usize) {
    let name = cx.name("crowded");
    let inside = Arc::new(Mutex::new(()));
    let mut waiters = JoinSet::new();
    for _ in 0..4 {
        let locker = cx.locker().await;
        for _ in 0..count / 4 {
            let (locker, options) = (locker.clone(), options(&name, LONG));
            let inside = Arc::clone(&inside);
            waiters.spawn(async move {
                let lock = held(locker.lock(options).await);
                let alone = inside.try_lock().is_ok();
                let token = lock.token();
                done(lock.unlock().await);
                assert!(alone, "two at once");
                token
            });
        }
    }
    let mut tokens = std::collections::BTreeSet::new();
    while let Some(ended) = waiters.join_next().await {
        tokens.insert(unpanicked(ended));
    }
    assert_eq!(tokens.len(), count / 4 * 4, "each has a token of its own");
}
