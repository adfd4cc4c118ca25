//! Wake-ups, for stores that push them.

use std::time::Duration;

use futures_util::StreamExt;
use golock_core::LockName;
use golock_core::store::{MarkRequest, Wakeup, Wakeups};

use crate::client::{Client, LONG, SHORT, ok};
use crate::context::{Context, lock_name};
use crate::patience::{Patience, within_reason};

pub(crate) async fn marked_release_wakes_every_listener(cx: &Context<'_>) {
    let (holder, first, second) = (cx.client().await, cx.client().await, cx.client().await);
    let name = cx.name("awaited");
    let mut listeners = [listening(&first).await, listening(&second).await];
    let grant = holder.take(&name, LONG).await;
    mark(&first, &name, LONG).await;
    holder.release(&grant).await;
    for listener in &mut listeners {
        until_freed(listener, &name).await;
    }
}

pub(crate) async fn forced_unlock_wakes_every_listener(cx: &Context<'_>) {
    let (holder, first, second) = (cx.client().await, cx.client().await, cx.client().await);
    let [held, revoked, kept] = ["held", "revoked", "kept"].map(|what| cx.name(what));
    let mut listeners = [listening(&first).await, listening(&second).await];
    holder.take(&held, LONG).await;
    holder.take(&revoked, LONG).await;
    assert!(holder.revoke(&revoked).await.is_some(), "it is held");
    let grant = holder.take(&kept, LONG).await;
    holder.release_keeping(&grant, LONG / 2).await;
    for name in [&held, &revoked, &kept] {
        // Those who wait were told to sleep for minutes.
        mark(&first, name, LONG).await;
        assert!(second.force_unlock(name).await.is_some(), "{name:?} is taken");
        for listener in &mut listeners {
            until_freed(listener, name).await;
        }
    }
}

pub(crate) async fn mark_outlives_grants_and_shorter_marks(cx: &Context<'_>) {
    let (holder, waiter) = (cx.client().await, cx.client().await);
    let name = cx.name("awaited");
    let mut listener = listening(&waiter).await;
    holder.take(&name, SHORT).await;
    mark(&waiter, &name, LONG).await;
    mark(&waiter, &name, Duration::from_millis(10)).await;
    // The lease runs out, another is granted the name: the waiter still waits.
    let grant = holder.take_when_free(&name, LONG).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    holder.release(&grant).await;
    until_freed(&mut listener, &name).await;
}

pub(crate) async fn mark_that_has_passed_wakes_nobody(cx: &Context<'_>) {
    let (holder, waiter) = (cx.client().await, cx.client().await);
    let (forgotten, awaited) = (cx.name("forgotten"), cx.name("awaited"));
    let mut listener = listening(&waiter).await;
    let (first, second) = (holder.take(&forgotten, LONG).await, holder.take(&awaited, LONG).await);
    mark(&waiter, &awaited, LONG).await;
    // Its waiter died. The mark has passed when a later one of the same length would have, too.
    let standing = Duration::from_millis(50);
    mark(&waiter, &forgotten, standing).await;
    tokio::time::sleep(standing * 3).await;
    holder.release(&first).await;
    holder.release(&second).await;
    within_reason("the wake-up", async {
        loop {
            match listener.next().await {
                Some(Wakeup::Freed(name)) if name == awaited => return,
                Some(Wakeup::Freed(name)) => assert_ne!(name, forgotten, "nobody waits for it any more"),
                Some(_) => {}
                None => panic!("the listener ended"),
            }
        }
    })
    .await;
}

pub(crate) async fn wakeups_carry_any_name(cx: &Context<'_>) {
    let (holder, waiter) = (cx.client().await, cx.client().await);
    let mut listener = listening(&waiter).await;
    let unique = cx.name("any");
    let longest = format!("{unique}{}", "é".repeat((LockName::MAX_BYTES - unique.as_bytes().len()) / 2));
    let endings =
        ["'", "\"", "\\", "%_*", " ", "\r\n", "\t", "🔒", "e\u{301}", "{}", ":", ",", "\u{1}", "$1"];
    let names = endings.map(|ending| format!("{unique}{ending}")).into_iter().chain([longest]);
    for name in names.map(|name| lock_name(&name)) {
        let grant = holder.take(&name, LONG).await;
        mark(&waiter, &name, LONG).await;
        holder.release(&grant).await;
        until_freed(&mut listener, &name).await;
    }
}

pub(crate) async fn mark_makes_no_row(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("never-locked");
    mark(&client, &name, LONG).await;
    assert_eq!(client.inspect(&name).await, None);
    client.take(&name, LONG).await;
}

/// A stream that misses nothing from here on.
pub(super) async fn listening(client: &Client) -> Wakeups {
    let mut patience = Patience::for_("a listener");
    loop {
        let Some(mut wakeups) = client.store.wakeups() else {
            panic!("the store says that it wakes, but does not")
        };
        let listening = within_reason("the listener to listen", async {
            while let Some(event) = wakeups.next().await {
                if event == Wakeup::Listening {
                    return true;
                }
            }
            false
        });
        if listening.await {
            return wakeups;
        }
        patience.pause().await;
    }
}

pub(super) async fn until_freed(listener: &mut Wakeups, name: &LockName) {
    within_reason("the wake-up", async {
        while let Some(event) = listener.next().await {
            if event == Wakeup::Freed(name.clone()) {
                return;
            }
        }
        panic!("the listener ended");
    })
    .await;
}

pub(super) async fn mark(client: &Client, name: &LockName, standing: Duration) {
    ok(client.store.mark_waiting(&[MarkRequest::new(name.clone(), standing)]).await);
}
