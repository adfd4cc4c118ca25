//! What an operator sees and does: inspect, list, revoke, force_unlock, purge.

use std::time::{Duration, Instant};

use golock_core::FencingToken;
use golock_core::LostReason::Revoked;
use golock_core::store::ReleaseAnswer::{AlreadyReleased, Released};
use golock_core::store::RenewAnswer::Lost;
use golock_core::store::{ListRequest, ReleaseAnswer};

use super::locking::done;
use super::releasing::assert_refused;
use crate::client::{LONG, SHORT};
use crate::context::{Context, new_grant};
use crate::patience::Patience;

pub(crate) async fn free_names_are_neither_seen_nor_listed(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let [never, released, expired, forced, undone] =
        ["never", "released", "expired", "forced", "undone"].map(|what| cx.name(what));
    client.release(&client.take(&released, LONG).await).await;
    client.take(&expired, SHORT).await;
    client.take(&forced, LONG).await;
    client.force_unlock(&forced).await;
    client.undo(&undone, new_grant()).await;
    client.until_free(&expired).await;

    for name in [&never, &released, &expired, &forced, &undone] {
        assert_eq!(client.inspect(name).await, None, "{name:?}");
    }
    assert_eq!(client.list(&ListRequest::new("", 10)).await, []);
}

pub(crate) async fn held_names_are_seen_and_listed_alike(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let [held, kept, revoked] = ["a-held", "b-kept", "c-revoked"].map(|what| cx.name(what));
    client.take(&held, LONG).await;
    client.release_keeping(&client.take(&kept, LONG).await, LONG / 2).await;
    client.take(&revoked, LONG).await;
    client.revoke(&revoked).await;

    let listed = client.list(&ListRequest::new("", 10)).await;
    let seen: Vec<_> = listed.iter().map(|info| (&info.name, info.released)).collect();
    assert_eq!(seen, [(&held, false), (&kept, true), (&revoked, true)]);
    for listed in listed {
        let seen = client.info(&listed.name).await;
        assert_eq!(
            (seen.token, seen.released, &seen.lock_by),
            (listed.token, listed.released, &listed.lock_by)
        );
        assert!(
            seen.remaining <= listed.remaining && seen.held_for >= listed.held_for,
            "{listed:?}, then {seen:?}"
        );
    }
}

pub(crate) async fn revoke_fences_but_lets_the_lease_run_out(cx: &Context<'_>) {
    let (holder, operator) = (cx.client().await, cx.client().await);
    let name = cx.name("revoked");
    let lease = Duration::from_secs(2);
    let grant = holder.take(&name, lease).await;

    let Some(fence) = operator.revoke(&name).await else {
        // Only a machine that slept for two seconds excuses this.
        assert_eq!(operator.inspect(&name).await, None, "revoke found nobody, but somebody holds the name");
        return;
    };
    assert!(fence > grant.token, "{fence} does not fence {}", grant.token);
    assert_eq!(holder.renew(&grant, LONG).await, Lost(Revoked));
    assert_refused(&holder, &name, grant.id).await;
    if let Some(info) = operator.inspect(&name).await {
        assert!(info.released, "nobody can renew it any more");
        assert!(info.remaining <= lease, "{:?} remain of {lease:?}", info.remaining);
        assert_eq!((info.token, &*info.lock_by.to_string()), (fence, "conformance"));
    }
    let next = operator.take_when_free(&name, LONG).await;
    assert!(next.token > fence, "{} does not follow {fence}", next.token);
}

pub(crate) async fn revoked_lease_keeps_others_out_until_its_end(cx: &Context<'_>) {
    let (holder, operator) = (cx.client().await, cx.client().await);
    let name = cx.name("revoked");
    let grant = holder.take(&name, LONG).await;
    let fence = operator.revoke(&name).await;

    assert_eq!(Some(operator.refused(&name).await.token), fence);
    // Its holder gives it back: that changes nothing, so that no two holders overlap.
    assert_eq!(holder.release(&grant).await, AlreadyReleased);
    assert!(operator.refused(&name).await.remaining > LONG / 2);
    // A waiter's undo does not let the holder renew again.
    operator.undo(&name, new_grant()).await;
    let answer = holder.renew(&grant, LONG).await;
    assert!(matches!(answer, Lost(_)), "a revoked lease was renewed: {answer:?}");
    assert!(operator.info(&name).await.released);
}

pub(crate) async fn revoke_of_a_free_name_does_nothing(cx: &Context<'_>) {
    let client = cx.client().await;
    let (never, released) = (cx.name("never"), cx.name("released"));
    let grant = client.take(&released, LONG).await;
    client.release(&grant).await;
    for name in [&never, &released] {
        assert_eq!(client.revoke(name).await, None);
        assert_eq!(client.force_unlock(name).await, None);
        assert_eq!(client.inspect(name).await, None);
    }
    client.take(&never, LONG).await;
    assert!(client.take(&released, LONG).await.token > grant.token);
}

pub(crate) async fn force_unlock_frees_at_once(cx: &Context<'_>) {
    let (holder, operator) = (cx.client().await, cx.client().await);
    let name = cx.name("forced");
    let grant = holder.take(&name, LONG).await;

    let Some(fence) = operator.force_unlock(&name).await else { panic!("{name:?} is held: {grant:?}") };
    assert!(fence > grant.token, "{fence} does not fence {}", grant.token);
    assert_eq!(operator.inspect(&name).await, None);
    assert_eq!(holder.renew(&grant, LONG).await, Lost(Revoked));
    assert_refused(&holder, &name, grant.id).await;

    let next = operator.take(&name, LONG).await;
    assert!(next.token > fence, "{} does not follow {fence}", next.token);
    assert!(matches!(holder.renew(&grant, LONG).await, Lost(_)));
    let answer = holder.release(&grant).await;
    assert!(matches!(answer, AlreadyReleased | ReleaseAnswer::NotYours(_)), "the former holder: {answer:?}");
    operator.renewed(&next, LONG).await;
}

pub(crate) async fn force_unlock_ends_what_is_left_of_lock_at_least(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("kept");
    let grant = client.take(&name, LONG).await;
    assert_eq!(client.release_keeping(&grant, LONG).await, Released);
    assert!(client.info(&name).await.released);

    let fence = client.force_unlock(&name).await;
    assert!(fence > Some(grant.token), "{fence:?} does not follow {}", grant.token);
    assert_refused(&client, &name, grant.id).await;
    client.take(&name, LONG).await;
}

pub(crate) async fn force_unlock_ends_a_revoked_lease(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("revoked");
    let grant = client.take(&name, LONG).await;
    let fence = client.revoke(&name).await;

    let forced = client.force_unlock(&name).await;
    assert!(forced > fence, "{forced:?} does not follow {fence:?}");
    assert_refused(&client, &name, grant.id).await;
    assert!(Some(client.take(&name, LONG).await.token) > forced);
}

pub(crate) async fn purge_spares_what_still_matters(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let [live, kept, revoked, fresh] = ["live", "kept", "revoked", "fresh"].map(|what| cx.name(what));
    let live = client.take(&live, LONG).await;
    let held = client.take(&kept, LONG).await;
    client.release_keeping(&held, LONG).await;
    let fenced = client.take(&revoked, LONG).await;
    client.revoke(&revoked).await;
    let freed = client.take(&fresh, LONG).await;
    client.release(&freed).await;

    assert_eq!(client.purge(LONG).await, 0, "nothing has been free for that long");
    assert_refused(&client, &fresh, freed.id).await;

    // Whatever is alive stays, however short the purge is of patience.
    client.purge(Duration::ZERO).await;
    client.renewed(&live, LONG).await;
    assert_eq!(client.refused(&kept).await.token, held.token);
    assert!(client.refused(&revoked).await.token > fenced.token);
    assert_eq!(client.renew(&fenced, LONG).await, Lost(Revoked));
    assert!(client.take(&fresh, LONG).await.token > freed.token, "a purged name's tokens go on");
}

pub(crate) async fn purge_counts_from_the_release(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let idle = Duration::from_secs(1);
    let mut tries = Patience::for_("a purge before the name has been free for that long");
    loop {
        let name = cx.name("held long");
        let grant = client.take(&name, LONG).await;
        let mut patience = Patience::for_("the lock to be held for longer than names have to be free");
        while client.info(&name).await.held_for <= idle * 2 {
            patience.pause().await;
        }
        let released = Instant::now();
        client.release(&grant).await;
        client.purge(idle).await;
        if released.elapsed() < idle {
            return assert_refused(&client, &name, grant.id).await;
        }
        tries.pause().await;
    }
}

pub(crate) async fn purge_spares_tokens_ahead_of_the_clock(cx: &Context<'_>) {
    let space = cx.own_space();
    let client = cx.client_in(&space).await;
    let name = cx.name("ahead");
    let grant = client.take(&name, LONG).await;
    // An hour, in the microseconds by which tokens count: as after the server's clock was set back.
    let ahead = FencingToken::new(grant.token.get() + 3_600_000_000);
    done(cx.damage().set_token(&space, &name, ahead).await);
    client.force_unlock(&name).await;
    client.purge(Duration::ZERO).await;
    assert!(client.take(&name, LONG).await.token > ahead, "the token went back with the row");
}

pub(crate) async fn purge_counts_what_it_deletes(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let idle = Duration::from_millis(500);
    client.take(&cx.name("live"), LONG).await;
    let expired = cx.name("expired");
    client.take(&expired, SHORT).await;
    for name in cx.names("released", 5) {
        client.release(&client.take(&name, LONG).await).await;
    }
    client.undo(&cx.name("undone"), new_grant()).await;
    client.until_free(&expired).await;

    let mut deleted = 0;
    let mut patience = Patience::for_("the seven free names to be purged");
    while deleted < 7 {
        deleted += client.purge(idle).await;
        patience.pause().await;
    }
    assert_eq!(deleted, 7, "five released, one expired, one undone");
    assert_eq!(client.purge(Duration::ZERO).await, 0);
    assert_eq!(client.list(&ListRequest::new("", 10)).await.len(), 1, "the live one stays");
}
