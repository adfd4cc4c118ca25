//! Names that are granted again: what a row says of its holder is the new grant's word, and none of an earlier one's.

use std::time::{Duration, Instant};

use golock_core::LockName;
use golock_core::store::ReleaseAnswer::Released;
use golock_core::store::{AcquireAnswer, AcquireRequest, HandOverRequest, ReleaseRequest};
use tokio::time;

use crate::client::{Client, Grant, LONG, SHORT, label, ok};
use crate::context::{Context, new_grant};
use crate::patience::Patience;

pub(crate) async fn grant_after_a_release_begins_anew(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("released");
    let first = client.take_labelled(&name, "first", LONG).await;
    let age = until_held_for(&other, &name, AGE).await;
    assert_eq!(client.release(&first).await, Released);

    let asked = Instant::now();
    let second = client.take_labelled(&name, "second", LONG).await;
    assert_begun_anew(&other, &second, asked, age).await;
}

pub(crate) async fn grant_after_an_expiry_begins_anew(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("expired");
    client.take_labelled(&name, "first", SHORT).await;
    client.until_free(&name).await;

    let asked = Instant::now();
    let second = client.take_labelled(&name, "second", LONG).await;
    assert_begun_anew(&other, &second, asked, SHORT).await;
}

pub(crate) async fn grant_after_an_undo_begins_anew(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("undone");
    client.undo(&name, new_grant()).await;
    // What an undo leaves is seen by nobody: that it grows old can't be asked for.
    time::sleep(AGE).await;

    let asked = Instant::now();
    let second = client.take_labelled(&name, "second", LONG).await;
    assert_begun_anew(&other, &second, asked, AGE).await;
}

pub(crate) async fn grant_by_hand_over_begins_anew(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("handed-over");
    let first = client.take_labelled(&name, "first", LONG).await;
    let age = until_held_for(&other, &name, AGE).await;

    let release = ReleaseRequest::new(name.clone(), first.id, Duration::ZERO);
    let next = AcquireRequest::new(name.clone(), new_grant(), label("second"), LONG);
    let (id, asked) = (next.grant, Instant::now());
    let answer = ok(client.store.hand_over(&HandOverRequest::new(release, next)).await);
    let AcquireAnswer::Granted { token, remaining, .. } = answer.next else {
        panic!("nothing stood in the way of the next: {answer:?}")
    };
    assert_begun_anew(&other, &Grant { name, id, token, remaining }, asked, age).await;
}

pub(crate) async fn renewals_and_retries_begin_nothing_anew(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("held-on");
    let grant = client.take(&name, LONG).await;
    let age = until_held_for(&other, &name, AGE).await;

    client.renewed(&grant, LONG * 2).await;
    let renewed = other.info(&name).await.held_for;
    assert!(renewed >= age, "held for {age:?}, and for {renewed:?} when it was renewed");
    client.take_as(&name, grant.id, LONG * 2).await;
    let repeated = other.info(&name).await.held_for;
    assert!(repeated >= renewed, "held for {renewed:?}, and for {repeated:?} when it was acquired again");

    // It has been held for longer than that already: since the grant, not since the last that was heard of it.
    assert_eq!(client.release_keeping(&grant, age / 2).await, Released);
    assert_eq!(other.inspect(&name).await, None, "lock_at_least was over");
}

/// How long `name` has been held, once that is `age` or more by the server's clock.
async fn until_held_for(client: &Client, name: &LockName, age: Duration) -> Duration {
    let mut patience = Patience::for_("a lock to grow old");
    loop {
        let held_for = client.info(name).await.held_for;
        if held_for >= age {
            return held_for;
        }
        patience.pause().await;
    }
}

/// The grant under the label `second`, asked for at `asked`, inherits nothing of what was in the row for `age` or longer by then:
/// not the label, not since when, and not the end of its lock_at_least.
async fn assert_begun_anew(other: &Client, grant: &Grant, asked: Instant, age: Duration) {
    let refusal = other.refused(&grant.name).await;
    let refused_after = asked.elapsed();
    let info = other.info(&grant.name).await;
    let seen_after = asked.elapsed();
    assert_eq!((refusal.lock_by.as_str(), info.lock_by.as_str()), ("second", "second"), "the holder's label");
    assert_eq!((refusal.token, info.token), (grant.token, grant.token));
    // However slow the machine is, it was not granted before it was asked for.
    for (held_for, after) in [(refusal.held_for, refused_after), (info.held_for, seen_after)] {
        assert!(
            held_for <= after + age / 2,
            "held for {held_for:?}, but asked for only {after:?} ago: since the grant before it, it seems"
        );
    }

    // As long as the name was in the row before: counted from then, that would be over.
    assert_eq!(other.release_keeping(grant, age).await, Released);
    if let Some(kept) = other.inspect(&grant.name).await {
        assert_eq!((kept.lock_by.as_str(), kept.released), ("second", true));
        assert!(kept.remaining <= age, "{:?} remain of {age:?}", kept.remaining);
    }
    other.take_when_free(&grant.name, LONG).await;
    let kept = asked.elapsed();
    assert!(kept >= age - age / 50, "kept for {kept:?} of {age:?}");
}

/// Old enough to tell a grant from the one before it, also where times are rounded to milliseconds.
const AGE: Duration = Duration::from_millis(200);
