//! Who is granted a name, and what the others are told.

use std::time::Duration;

use golock_core::store::AcquireAnswer;
use golock_core::{GrantId, LockName};
use tokio::time::{self, Instant};

use crate::client::{Client, LABEL, LONG, SHORT};
use crate::context::{Context, new_grant};
use crate::patience::Patience;

pub(crate) async fn free_name_is_granted(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("free");
    assert_eq!(client.inspect(&name).await, None);

    let asked = Instant::now();
    let grant = client.take(&name, LONG).await;
    let took = asked.elapsed();
    assert!(grant.remaining <= LONG, "{:?} remain of {LONG:?}", grant.remaining);
    let least = LONG - took - SLACK - LONG / 100;
    assert!(grant.remaining >= least, "{:?} remain of {LONG:?} after {took:?}", grant.remaining);

    let info = client.info(&name).await;
    assert_eq!((info.name, info.token, info.released), (name, grant.token, false));
}

pub(crate) async fn second_locker_is_refused(cx: &Context<'_>) {
    let (first, second) = (cx.client().await, cx.client().await);
    let name = cx.name("held");
    let grant = first.take(&name, LONG).await;

    assert_eq!(second.refused(&name).await.token, grant.token);
    assert_eq!(first.refused(&name).await.token, grant.token, "nor is another grant of the same client");
    first.renewed(&grant, LONG).await;
}

pub(crate) async fn same_label_is_no_identity(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("labelled");
    let grant = client.take(&name, LONG).await;

    let answer = client.acquire(&name, new_grant(), LABEL, LONG).await;
    assert!(matches!(answer, AcquireAnswer::Held(_)), "the label is the same, the grant is not: {answer:?}");
    client.renewed(&grant, LONG).await;
}

pub(crate) async fn refusal_says_who_since_when_how_long(cx: &Context<'_>) {
    let (holder, other) = (cx.client().await, cx.client().await);
    let name = cx.name("held");
    let asked = Instant::now();
    let answer = holder.acquire(&name, new_grant(), "worker-1", LONG).await;
    let AcquireAnswer::Granted { token, .. } = answer else { panic!("the name was free: {answer:?}") };

    let first = other.refused(&name).await;
    let held_at_most = asked.elapsed() + SLACK + asked.elapsed() / 100;
    assert_eq!((first.lock_by.as_str(), first.token), ("worker-1", token));
    assert!(first.held_for <= held_at_most, "held for {:?}, {held_at_most:?} at most", first.held_for);
    assert!(first.remaining <= LONG, "{:?} remain of {LONG:?}", first.remaining);
    let whole = first.held_for + first.remaining;
    let rounding = Duration::from_secs(1);
    assert!(
        whole <= LONG + rounding && whole >= LONG - rounding,
        "both together are the lease, not {whole:?}"
    );

    time::sleep(Duration::from_millis(20)).await;
    let later = other.refused(&name).await;
    assert!(later.held_for > first.held_for, "{:?}, then {:?}", first.held_for, later.held_for);
    assert!(later.remaining < first.remaining, "{:?}, then {:?}", first.remaining, later.remaining);
}

pub(crate) async fn expired_name_is_granted_to_the_next(cx: &Context<'_>) {
    let (first, second) = (cx.client().await, cx.client().await);
    let name = cx.name("expiring");
    let asked = Instant::now();
    let old = first.take(&name, SHORT).await;

    let new = second.take_when_free(&name, LONG).await;
    assert!(asked.elapsed() >= SHORT - SLACK, "the lease of {SHORT:?} ended after {:?}", asked.elapsed());
    assert!(new.token > old.token, "{} does not follow {}", new.token, old.token);
    assert_eq!(first.refused(&name).await.token, new.token);
}

pub(crate) async fn same_grant_acquires_again_under_the_same_token(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let name = cx.name("retried");
    let first = client.take(&name, Duration::from_secs(60)).await;

    let again = other.take_as(&name, first.id, LONG).await;
    assert_eq!(again.token, first.token, "a retry is no new grant");
    assert!(
        again.remaining > Duration::from_secs(60),
        "it extends the lease, but {:?} remain",
        again.remaining
    );
    assert_eq!(client.info(&name).await.token, first.token);
    client.renewed(&first, LONG).await;
}

pub(crate) async fn same_grant_acquired_again_shortens_nothing(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("retried");
    let first = client.take(&name, LONG).await;

    let again = client.take_as(&name, first.id, SHORT).await;
    assert_eq!(again.token, first.token);
    assert!(again.remaining > LONG / 2, "{:?} remain of {LONG:?}", again.remaining);
    assert!(client.info(&name).await.remaining > LONG / 2);
}

pub(crate) async fn same_grant_after_its_expiry_gets_a_new_token(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("expiring");
    let first = client.take(&name, SHORT).await;
    client.until_free(&name).await;

    let again = client.take_as(&name, first.id, LONG).await;
    assert!(again.token > first.token, "somebody may have held it in between: {} again", first.token);
    let answer = client.renew(&first, LONG).await;
    assert!(
        matches!(answer, golock_core::store::RenewAnswer::Lost(_)),
        "the old token is no longer the grant's: {answer:?}"
    );
}

pub(crate) async fn shortest_and_longest_leases_are_kept(cx: &Context<'_>) {
    let client = cx.client().await;
    let (short, long) = (cx.name("shortest"), cx.name("longest"));
    let shortest = Duration::from_millis(10);
    let longest = Duration::from_secs(365 * 24 * 60 * 60);

    let asked = Instant::now();
    let grant = client.take(&short, shortest).await;
    assert!(grant.remaining <= shortest, "{:?} remain of {shortest:?}", grant.remaining);
    client.take_when_free(&short, shortest).await;
    assert!(
        asked.elapsed() >= shortest - Duration::from_millis(2),
        "10 ms ended after {:?}",
        asked.elapsed()
    );

    let day = Duration::from_secs(24 * 60 * 60);
    let grant = client.take(&long, longest).await;
    assert!(grant.remaining <= longest && grant.remaining > longest - day, "{:?} of a year", grant.remaining);
    let renewed = client.renewed(&grant, longest).await;
    assert!(renewed <= longest && renewed > longest - day, "{renewed:?} of a year, renewed");
    let info = client.info(&long).await;
    assert!(
        info.remaining <= longest && info.remaining > longest - day,
        "{:?} of a year, seen",
        info.remaining
    );
    client.release(&grant).await;
}

pub(crate) async fn labels_come_back_as_they_were(cx: &Context<'_>) {
    let client = cx.client().await;
    let longest = "é".repeat(127) + "x";
    let labels = [
        "x",
        " ",
        " padded ",
        "worker-1",
        "Müller & Söhne",
        "e\u{301}",
        "数据库",
        "👩‍🚀",
        "it's",
        "\"quoted\"",
        "back\\slash",
        "%s %d {} {0} $1 ? :name @p1",
        "'; DROP TABLE golock; --",
        "$set",
        "a.b",
        "\u{feff}bom",
        "0",
        "null",
        &longest,
    ];
    for label in labels {
        let name = cx.name("labelled");
        let answer = client.acquire(&name, new_grant(), label, LONG).await;
        assert!(matches!(answer, AcquireAnswer::Granted { .. }), "{label:?}: {answer:?}");
        assert_eq!(client.refused(&name).await.lock_by.as_str(), label, "in the refusal");
        assert_eq!(client.info(&name).await.lock_by.as_str(), label, "in what is known of the lock");
    }
}

pub(crate) async fn grant_ids_are_compared_byte_by_byte(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("ids");
    // Zeros, a case bit, a last byte: what a text column, a padded one or a prefix would take for the same.
    let mut bytes = *b"\0grant \0ABCDEF\0 ";
    let grant = client.take_as(&name, GrantId::from_bytes(bytes), LONG).await;
    for (at, byte) in [(8, b'a'), (15, b'\0'), (15, b'!'), (0, b' '), (0, 0xff)] {
        let before = std::mem::replace(&mut bytes[at], byte);
        assert_not_granted(&client, &name, GrantId::from_bytes(bytes)).await;
        bytes[at] = before;
    }
    client.renewed(&grant, LONG).await;
}

pub(crate) async fn remaining_counts_down_to_the_end_of_the_lease(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("counting");
    let lease = Duration::from_secs(2);
    let asked = Instant::now();
    client.take(&name, lease).await;
    let answered = Instant::now();

    let mut patience = Patience::for_("the lease to end");
    let mut last = lease;
    loop {
        // The server granted before it answered.
        let at_most = lease.saturating_sub(answered.elapsed()) + SLACK;
        let Some(info) = client.inspect(&name).await else { break };
        assert!(info.remaining <= at_most, "{:?} remain, {at_most:?} at most", info.remaining);
        assert!(info.remaining <= last, "{last:?}, then {:?}", info.remaining);
        last = info.remaining;
        patience.pause().await;
    }
    assert!(asked.elapsed() >= lease - SLACK, "2 s ended after {:?}", asked.elapsed());
}

async fn assert_not_granted(client: &Client, name: &LockName, id: GrantId) {
    let answer = client.acquire(name, id, LABEL, LONG).await;
    assert!(!matches!(answer, AcquireAnswer::Granted { .. }), "{id} is another grant: {answer:?}");
}

/// What a clock of milliseconds rounds away, and 1 % between two clocks for the shorter leases here.
const SLACK: Duration = Duration::from_millis(25);
