//! What a renewal extends, and what it must not revive.

use std::time::Duration;

use golock_core::FencingToken;
use golock_core::LostReason::{Expired, Revoked, RowGone, Taken};
use golock_core::store::ReleaseAnswer::Released;
use golock_core::store::RenewAnswer::Lost;
use tokio::time::Instant;

use crate::client::{Grant, LONG, SHORT};
use crate::context::{Context, new_grant};

pub(crate) async fn renewal_extends_the_lease(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("renewed");
    let grant = client.take(&name, Duration::from_secs(60)).await;

    let asked = Instant::now();
    let remaining = client.renewed(&grant, LONG).await;
    assert!(remaining <= LONG, "{remaining:?} remain of {LONG:?}");
    let least = LONG - LONG / 100 - asked.elapsed();
    assert!(remaining >= least, "{remaining:?} remain, {least:?} at least");
    assert!(other.refused(&name).await.remaining > Duration::from_secs(60));
    assert_eq!(other.info(&name).await.token, grant.token, "a renewal is no new grant");
}

pub(crate) async fn renewed_lease_outlives_its_first_end(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("renewed");
    let lease = Duration::from_secs(6);
    let begun = Instant::now();
    let grant = client.take(&name, lease).await;
    while begun.elapsed() < lease + lease / 4 {
        client.renewed(&grant, lease).await;
        assert_eq!(other.refused(&name).await.token, grant.token);
        tokio::time::sleep(lease / 8).await;
    }
}

pub(crate) async fn shorter_renewal_shortens_nothing(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("renewed");
    let grant = client.take(&name, Duration::from_secs(15)).await;
    client.renewed(&grant, LONG).await;

    // The renewal of 15 s was sent first, and arrives last.
    let remaining = client.renewed(&grant, Duration::from_secs(15)).await;
    assert!(remaining > LONG / 2, "{remaining:?} remain of {LONG:?}");
    assert!(client.info(&name).await.remaining > LONG / 2);
}

pub(crate) async fn renew_after_expiry_revives_nothing(cx: &Context<'_>) {
    let (stale, next) = (cx.client().await, cx.client().await);
    let name = cx.name("expired");
    let grant = stale.take(&name, SHORT).await;
    stale.until_free(&name).await;

    assert_eq!(stale.renew(&grant, LONG).await, Lost(Expired));
    assert_eq!(stale.inspect(&name).await, None);
    let new = next.take(&name, LONG).await;
    assert_eq!(stale.renew(&grant, LONG).await, Lost(Taken));
    assert_eq!(next.info(&name).await.token, new.token);
}

pub(crate) async fn renew_after_release_recreates_nothing(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("released");
    let grant = client.take(&name, LONG).await;
    assert_eq!(client.release(&grant).await, Released);

    assert_eq!(client.renew(&grant, LONG).await, Lost(Revoked));
    assert_eq!(client.inspect(&name).await, None);
    client.take(&name, LONG).await;
}

pub(crate) async fn renew_of_an_unknown_name_creates_nothing(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("never-seen");
    let grant =
        Grant { name: name.clone(), id: new_grant(), token: FencingToken::new(1), remaining: Duration::ZERO };

    assert_eq!(client.renew(&grant, LONG).await, Lost(RowGone));
    assert_eq!(client.inspect(&name).await, None);
    assert_eq!(client.renew(&grant, LONG).await, Lost(RowGone), "not even a free row");
}

pub(crate) async fn stranger_cannot_renew(cx: &Context<'_>) {
    let (holder, stranger) = (cx.client().await, cx.client().await);
    let name = cx.name("held");
    let grant = holder.take(&name, Duration::from_secs(60)).await;

    let forged = Grant { id: new_grant(), ..grant.clone() };
    assert_eq!(stranger.renew(&forged, LONG).await, Lost(Taken), "the token is right, the grant is not");
    let forged = Grant { token: FencingToken::new(grant.token.get() - 1), ..grant.clone() };
    assert_eq!(stranger.renew(&forged, LONG).await, Lost(Taken), "the grant is right, the token is not");

    let info = holder.info(&name).await;
    assert!(
        info.remaining <= Duration::from_secs(60),
        "a stranger extended the lease to {:?}",
        info.remaining
    );
    assert_eq!(info.token, grant.token);
    holder.renewed(&grant, LONG).await;
}
