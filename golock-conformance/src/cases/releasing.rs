//! What a release frees, and what it does not.

use std::time::Duration;

use golock_core::LostReason::{Revoked, RowGone, Taken};
use golock_core::store::AcquireAnswer;
use golock_core::store::ReleaseAnswer::{AlreadyReleased, NotYours, Released};
use golock_core::store::RenewAnswer::Lost;
use golock_core::{GrantId, LockName};
use tokio::time::Instant;

use crate::client::{Client, LABEL, LONG, SHORT};
use crate::context::{Context, new_grant};

pub(crate) async fn released_name_is_free_at_once(cx: &Context<'_>) {
    let (first, second) = (cx.client().await, cx.client().await);
    let name = cx.name("released");
    let grant = first.take(&name, LONG).await;

    assert_eq!(first.release(&grant).await, Released);
    assert_eq!(second.inspect(&name).await, None);
    second.take(&name, LONG).await;
}

pub(crate) async fn stale_holder_cannot_release(cx: &Context<'_>) {
    let (stale, next) = (cx.client().await, cx.client().await);
    let name = cx.name("taken-over");
    let old = stale.take(&name, SHORT).await;
    let new = next.take_when_free(&name, LONG).await;

    assert_eq!(stale.release(&old).await, NotYours(Taken));
    assert_eq!(next.info(&name).await.token, new.token);
    assert!(next.renewed(&new, LONG).await > LONG / 2);
}

pub(crate) async fn late_unlock_never_frees_the_next_grant(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("handed-over");
    let first = client.take(&name, LONG).await;
    assert_eq!(client.release(&first).await, Released);
    let second = other.take(&name, LONG).await;

    // Both have the same label: it is the grant that counts.
    assert_eq!(client.release(&first).await, AlreadyReleased);
    assert_eq!(client.info(&name).await.token, second.token);
    other.renewed(&second, LONG).await;

    // Still so when the first grant is no longer the last released one.
    assert_eq!(other.release(&second).await, Released);
    let third = other.take(&name, LONG).await;
    assert_eq!(client.release(&first).await, NotYours(Taken));
    other.renewed(&third, LONG).await;
}

pub(crate) async fn release_is_idempotent(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("released");
    let grant = client.take(&name, LONG).await;

    assert_eq!(client.release(&grant).await, Released);
    assert_eq!(client.release(&grant).await, AlreadyReleased);
    assert_eq!(other.release(&grant).await, AlreadyReleased);
    assert_eq!(client.inspect(&name).await, None);
}

pub(crate) async fn expired_grant_that_nobody_took_is_released(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("expired");
    let grant = client.take(&name, SHORT).await;
    client.until_free(&name).await;

    assert_eq!(client.release_keeping(&grant, LONG).await, Released);
    assert_eq!(client.inspect(&name).await, None, "an ended lease is not made longer by lock_at_least");
    assert_eq!(client.release(&grant).await, AlreadyReleased);
    client.take(&name, LONG).await;
}

pub(crate) async fn strangers_release_changes_nothing_for_the_holder(cx: &Context<'_>) {
    let (holder, stranger) = (cx.client().await, cx.client().await);
    let name = cx.name("held");
    let grant = holder.take(&name, LONG).await;
    let before = holder.info(&name).await;

    assert_eq!(stranger.undo(&name, new_grant()).await, NotYours(Taken));
    let after = holder.info(&name).await;
    assert_eq!((after.token, after.released, &after.lock_by), (before.token, false, &before.lock_by));
    assert!(after.remaining > LONG / 2);
    holder.renewed(&grant, LONG).await;
}

pub(crate) async fn late_acquire_of_a_released_grant_is_refused(cx: &Context<'_>) {
    let (client, late) = (cx.client().await, cx.client().await);
    let name = cx.name("released");
    let grant = client.take(&name, LONG).await;
    assert_eq!(client.release(&grant).await, Released);

    assert_refused(&late, &name, grant.id).await;
    assert_eq!(client.inspect(&name).await, None, "the late acquire left an orphan");

    // Also after another held the name and lost it by expiry, which releases nothing.
    let next = client.take(&name, SHORT).await;
    assert_refused(&late, &name, grant.id).await;
    client.until_free(&name).await;
    assert_refused(&late, &name, grant.id).await;
    assert!(client.take(&name, LONG).await.token > next.token);
}

pub(crate) async fn undo_that_overtakes_its_acquire_leaves_no_orphan(cx: &Context<'_>) {
    let (client, late) = (cx.client().await, cx.client().await);
    let name = cx.name("never-seen");
    let id = new_grant();

    assert_eq!(client.undo(&name, id).await, NotYours(RowGone));
    assert_eq!(client.inspect(&name).await, None, "what an undo leaves is free");
    assert_refused(&late, &name, id).await;
    assert_eq!(client.inspect(&name).await, None, "the late acquire left an orphan");
    assert_eq!(client.undo(&name, id).await, AlreadyReleased);
    client.take(&name, LONG).await;
}

pub(crate) async fn undo_behind_a_holder_forbids_the_late_acquire(cx: &Context<'_>) {
    let (holder, waiter) = (cx.client().await, cx.client().await);
    let name = cx.name("held");
    let grant = holder.take(&name, SHORT).await;
    let given_up = new_grant();
    assert_eq!(waiter.undo(&name, given_up).await, NotYours(Taken));

    // The holder's lease is over, and now the acquire that was given up arrives.
    waiter.until_free(&name).await;
    assert_refused(&waiter, &name, given_up).await;
    assert!(holder.take(&name, LONG).await.token > grant.token);
}

pub(crate) async fn lock_at_least_is_kept_on_unlock(cx: &Context<'_>) {
    let (holder, other) = (cx.client().await, cx.client().await);
    let name = cx.name("kept");
    let at_least = Duration::from_secs(2);
    let granted = Instant::now();
    let grant = holder.take(&name, LONG).await;

    assert_eq!(holder.release_keeping(&grant, at_least).await, Released);
    if let Err(refusal) = other.try_take(&name, LONG).await {
        assert!(refusal.remaining <= at_least, "{:?} remain of {at_least:?}", refusal.remaining);
        assert_eq!((refusal.lock_by.as_str(), refusal.token), (LABEL, grant.token));
    } else {
        // Only a machine that slept for two seconds excuses this.
        assert!(granted.elapsed() >= at_least, "taken {:?} after it was granted", granted.elapsed());
        return;
    }
    let next = other.take_when_free(&name, LONG).await;
    let kept = granted.elapsed();
    assert!(kept >= at_least - at_least / 100, "kept for {kept:?} of {at_least:?}");
    assert!(next.token > grant.token);
}

pub(crate) async fn lock_at_least_shows_as_released(cx: &Context<'_>) {
    let (holder, other) = (cx.client().await, cx.client().await);
    let name = cx.name("kept");
    let grant = holder.take(&name, LONG).await;
    assert_eq!(holder.release_keeping(&grant, LONG / 2).await, Released);

    let info = other.info(&name).await;
    assert!(info.released, "nobody can renew it any more");
    assert_eq!((info.lock_by.as_str(), info.token), (LABEL, grant.token));
    assert!(info.remaining <= LONG / 2, "{:?} remain of {:?}", info.remaining, LONG / 2);
    assert_eq!(holder.renew(&grant, LONG).await, Lost(Revoked));
    assert_eq!(holder.release(&grant).await, AlreadyReleased, "and it is not cut short by a second release");
    assert!(other.info(&name).await.remaining > LONG / 4);
    assert_refused(&holder, &name, grant.id).await;

    // Another undo takes its place as the last released grant: what it left is nobody's all the same.
    assert_eq!(other.undo(&name, new_grant()).await, NotYours(Taken));
    assert_eq!(holder.renew(&grant, LONG).await, Lost(Taken), "it was released, whatever was released since");
    assert_refused(&holder, &name, grant.id).await;
    let info = other.info(&name).await;
    assert!(info.released && info.remaining <= LONG / 2, "by its former holder, after an undo: {info:?}");
}

pub(crate) async fn lock_at_least_never_prolongs_the_lease(cx: &Context<'_>) {
    let (holder, other) = (cx.client().await, cx.client().await);
    let name = cx.name("kept");
    let lease = Duration::from_secs(2);
    let grant = holder.take(&name, lease).await;

    assert_eq!(holder.release_keeping(&grant, LONG).await, Released);
    if let Some(info) = other.inspect(&name).await {
        assert!(info.remaining <= lease, "{:?} remain of a lease of {lease:?}", info.remaining);
    }
    other.take_when_free(&name, LONG).await;
}

pub(crate) async fn lock_at_least_that_has_passed_frees_at_once(cx: &Context<'_>) {
    let (holder, other) = (cx.client().await, cx.client().await);
    let name = cx.name("worked-long-enough");
    let at_least = Duration::from_millis(100);
    let grant = holder.take(&name, LONG).await;
    // Long enough by the server's clock, whose word counts.
    while other.info(&name).await.held_for <= at_least {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    assert_eq!(holder.release_keeping(&grant, at_least).await, Released);
    other.take(&name, LONG).await;
}

/// However often the grant acquires, it gets nothing.
pub(super) async fn assert_refused(client: &Client, name: &LockName, id: GrantId) {
    for _ in 0..3 {
        let answer = client.acquire(name, id, LABEL, LONG).await;
        assert!(
            !matches!(answer, AcquireAnswer::Granted { .. }),
            "a released grant was granted again: {answer:?}"
        );
    }
}
