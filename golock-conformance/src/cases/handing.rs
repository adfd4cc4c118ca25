//! Hand-overs: a release and the next acquire of the same name in one round trip, for stores that do that.

use golock_core::LostReason::{RowGone, Taken};
use golock_core::store::ReleaseAnswer::{AlreadyReleased, NotYours, Released};
use golock_core::store::{AcquireAnswer, AcquireRequest, HandOverAnswer, HandOverRequest, ReleaseRequest};
use golock_core::{FencingToken, GrantId, LockName};
use std::time::Duration;

use super::faults::through_proxy;
use super::locking::{done, held, options};
use super::pushing::{listening, mark, until_freed};
use crate::client::{Client, Grant, LABEL, LONG, SHORT, label, ok};
use crate::context::{Context, new_grant};
use crate::patience::within_reason;

pub(crate) async fn name_is_handed_over(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("passed-on");
    let mut last = client.take(&name, LONG).await;
    for lease in [LONG * 2, LONG] {
        let next = new_grant();
        let answer = hand_over(&client, &name, last.id, Duration::ZERO, next, lease).await;
        assert_eq!(answer.released, Released);
        let token = granted(&answer.next, lease);
        assert!(token > last.token, "{token} does not follow {}", last.token);
        let info = other.info(&name).await;
        assert_eq!((info.token, info.lock_by.as_str(), info.released), (token, LABEL, false));
        // The former holder has nothing left.
        assert_ne!(client.release(&last).await, Released);
        assert_eq!(other.refused(&name).await.token, token);
        last = Grant { name: name.clone(), id: next, token, remaining: lease };
        client.renewed(&last, lease).await;
    }
    assert_eq!(client.release(&last).await, Released);
    assert!(other.take(&name, LONG).await.token > last.token);
}

pub(crate) async fn stale_holder_hands_nothing_over(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("taken");
    let stale = client.take(&name, SHORT).await;
    let holder = other.take_when_free(&name, LONG).await;
    let next = new_grant();
    let answer = hand_over(&client, &name, stale.id, Duration::ZERO, next, LONG).await;
    assert_eq!(answer.released, NotYours(Taken));
    not_granted(&answer.next);
    assert_eq!(client.info(&name).await.token, holder.token);
    other.renewed(&holder, LONG).await;
    assert_eq!(other.release(&holder).await, Released);
}

pub(crate) async fn hand_over_of_nothing_is_an_undo(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("never-locked");
    let (late, next) = (new_grant(), new_grant());
    let answer = hand_over(&client, &name, late, Duration::ZERO, next, LONG).await;
    assert_eq!(answer.released, NotYours(RowGone));
    not_granted(&answer.next);
    assert_eq!(client.inspect(&name).await, None);
    assert_eq!(client.acquire(&name, late, LABEL, LONG).await, AcquireAnswer::Raced);
    client.take_as(&name, next, LONG).await;
}

pub(crate) async fn repeated_hand_over_grants_once(cx: &Context<'_>) {
    let (client, retry) = (cx.client().await, cx.client().await);
    let name = cx.name("repeated");
    let (first, next) = (client.take(&name, LONG).await, new_grant());
    let answer = hand_over(&client, &name, first.id, Duration::ZERO, next, LONG).await;
    let token = granted(&answer.next, LONG);
    let again = hand_over(&retry, &name, first.id, Duration::ZERO, next, LONG).await;
    assert_eq!(again.released, AlreadyReleased);
    if let AcquireAnswer::Granted { token: again, .. } = again.next {
        assert_eq!(again, token);
    }
    // What the engine does when a reply was lost.
    assert_eq!(retry.take_as(&name, next, LONG).await.token, token);
    // It comes once more when the next is through with it: nothing is revived.
    assert_eq!(client.undo(&name, next).await, Released);
    let late = hand_over(&retry, &name, first.id, Duration::ZERO, next, LONG).await;
    not_granted(&late.next);
    assert_eq!(client.inspect(&name).await, None);
}

pub(crate) async fn released_grant_is_handed_nothing(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("undone");
    let (first, next) = (client.take(&name, LONG).await, new_grant());
    // The next has gone meanwhile: its undo was faster.
    assert_eq!(client.undo(&name, next).await, NotYours(Taken));
    let answer = hand_over(&client, &name, first.id, Duration::ZERO, next, LONG).await;
    assert_eq!(answer.released, Released);
    not_granted(&answer.next);
    assert_eq!(client.inspect(&name).await, None);
}

pub(crate) async fn lock_at_least_is_kept_from_the_next(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("kept");
    let first = client.take(&name, LONG).await;
    let answer = hand_over(&client, &name, first.id, LONG / 2, new_grant(), LONG).await;
    assert_eq!(answer.released, Released);
    not_granted(&answer.next);
    let info = client.info(&name).await;
    assert!(info.released && info.remaining <= LONG / 2 && info.remaining > LONG / 4, "{info:?}");
    assert_eq!(info.token, first.token);
}

pub(crate) async fn expired_grant_that_nobody_took_is_handed_over(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("expired");
    let first = client.take(&name, SHORT).await;
    client.until_free(&name).await;
    let answer = hand_over(&client, &name, first.id, Duration::ZERO, new_grant(), LONG).await;
    assert_eq!(answer.released, Released);
    assert!(granted(&answer.next, LONG) > first.token);
}

pub(crate) async fn name_that_is_waited_for_elsewhere_is_freed_instead(cx: &Context<'_>) {
    let (client, waiter) = (cx.client().await, cx.client().await);
    let name = cx.name("awaited");
    let mut listener = listening(&waiter).await;
    let first = client.take(&name, LONG).await;
    mark(&waiter, &name, LONG).await;
    let answer = hand_over(&client, &name, first.id, Duration::ZERO, new_grant(), LONG).await;
    assert_eq!(answer.released, Released);
    not_granted(&answer.next);
    until_freed(&mut listener, &name).await;
    waiter.take(&name, LONG).await;
}

pub(crate) async fn hand_over_racing_an_acquire_has_one_winner(cx: &Context<'_>) {
    let (client, other) = (cx.client().await.patient(), cx.client().await.patient());
    let name = cx.name("raced");
    let mut last = client.take(&name, LONG).await;
    for round in 0..50 {
        let (next, another) = (new_grant(), new_grant());
        let (answer, acquired) = tokio::join!(
            hand_over(&client, &name, last.id, Duration::ZERO, next, LONG),
            other.acquire(&name, another, LABEL, LONG)
        );
        let (id, token) = match (&answer.next, &acquired) {
            (AcquireAnswer::Granted { .. }, AcquireAnswer::Granted { .. }) => {
                panic!("round {round}: both were granted: {answer:?}, {acquired:?}")
            }
            (AcquireAnswer::Granted { token, .. }, _) => (next, *token),
            (_, AcquireAnswer::Granted { token, .. }) => (another, *token),
            _ => (next, client.take_as(&name, next, LONG).await.token),
        };
        assert!(token > last.token, "round {round}");
        last = Grant { name: name.clone(), id, token, remaining: LONG };
        client.renewed(&last, LONG).await;
    }
}

pub(crate) async fn a_turn_in_line_costs_little_more_than_a_round_trip(cx: &Context<'_>) {
    const TASKS: u64 = 20;
    const TURNS: u64 = 10;
    let (proxy, locker, _) = through_proxy(cx).await;
    let name = cx.name("busy");
    let take_turns = async |turns| {
        let tasks = (0..TASKS).map(|_| async {
            for _ in 0..turns {
                // A turn each: all together may take long on a busy machine.
                let lock = within_reason("a turn", locker.lock(options(&name, LONG))).await;
                done(held(lock).unlock().await);
            }
        });
        futures_util::future::join_all(tasks).await;
    };
    take_turns(1).await;
    let (connections, round_trips) = (proxy.connections(), proxy.round_trips());
    take_turns(TURNS).await;
    let (turns, taken) = (TASKS * TURNS, proxy.round_trips() - round_trips);
    assert!(10 * taken <= 12 * turns, "{taken} round trips for {turns} turns");
    assert_eq!(proxy.connections() - connections, 0, "new connections");
}

async fn hand_over(
    client: &Client,
    name: &LockName,
    released: GrantId,
    lock_at_least: Duration,
    next: GrantId,
    lease: Duration,
) -> HandOverAnswer {
    let release = ReleaseRequest::new(name.clone(), released, lock_at_least);
    let next = AcquireRequest::new(name.clone(), next, label(LABEL), lease);
    ok(client.store.hand_over(&HandOverRequest::new(release, next)).await)
}

#[track_caller]
fn granted(answer: &AcquireAnswer, lease: Duration) -> FencingToken {
    match answer {
        AcquireAnswer::Granted { token, remaining, .. } => {
            assert!(*remaining <= lease && *remaining > lease / 2, "{remaining:?} remain of {lease:?}");
            *token
        }
        answer => panic!("nothing stood in the way of the next: {answer:?}"),
    }
}

#[track_caller]
fn not_granted(answer: &AcquireAnswer) {
    assert!(!matches!(answer, AcquireAnswer::Granted { .. }), "{answer:?}");
}
