//! Fencing tokens: every grant's is larger than all before it, whatever happened to the row.

use std::time::Duration;

use golock_core::store::AcquireRequest;
use golock_core::{FencingToken, LockName, StoreErrorKind};

use crate::client::{Client, Grant, LABEL, LONG, SHORT, label};
use crate::context::{Context, SHARED_SPACE, chain, new_grant};

pub(crate) async fn tokens_increase_over_release(cx: &Context<'_>) {
    let clients = [cx.client().await, cx.client().await];
    let name = cx.name("released");
    let mut last = FencingToken::new(0);
    for round in 0..20 {
        let client = &clients[round % 2];
        last = larger(client.take(&name, LONG).await, last, client).await;
    }
}

pub(crate) async fn tokens_increase_over_expiry(cx: &Context<'_>) {
    let clients = [cx.client().await, cx.client().await];
    let name = cx.name("expiring");
    let mut last = FencingToken::new(0);
    for round in 0..10 {
        let grant = clients[round % 2].take_when_free(&name, Duration::from_millis(20)).await;
        assert!(grant.token > last, "{} does not follow {last}", grant.token);
        last = grant.token;
    }
}

pub(crate) async fn tokens_increase_over_purge(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let name = cx.name("purged");
    let mut last = FencingToken::new(0);
    for _ in 0..5 {
        last = larger(client.take(&name, LONG).await, last, &client).await;
        client.purge(Duration::ZERO).await;
    }
}

pub(crate) async fn tokens_increase_over_row_deletion(cx: &Context<'_>) {
    let space = cx.own_space();
    let client = cx.client_in(&space).await;
    let name = cx.name("deleted");
    let mut last = FencingToken::new(0);
    for _ in 0..5 {
        last = larger(client.take(&name, LONG).await, last, &client).await;
        if let Err(error) = cx.damage().delete_row(&space, &name).await {
            panic!("the fixture could not delete the row: {error}");
        }
    }
}

pub(crate) async fn tokens_increase_over_truncate(cx: &Context<'_>) {
    let space = cx.own_space();
    let client = cx.client_in(&space).await;
    let name = cx.name("truncated");
    let mut last = FencingToken::new(0);
    for _ in 0..5 {
        let grant = client.take(&name, LONG).await;
        assert!(grant.token > last, "{} does not follow {last}", grant.token);
        last = grant.token;
        // It is held, and forgotten all the same.
        if let Err(error) = cx.damage().delete_all(&space).await {
            panic!("the fixture could not empty the space: {error}");
        }
        assert_eq!(client.inspect(&name).await, None);
    }
}

pub(crate) async fn tokens_increase_over_restart(cx: &Context<'_>) {
    let client = cx.client().await;
    let (free, held) = (cx.name("free"), cx.name("held"));
    let before = client.take(&free, LONG).await;
    client.release(&before).await;
    let kept = client.take(&held, LONG).await;

    restart(cx).await;

    let client = cx.client().await;
    let after = client.take(&free, LONG).await;
    assert!(after.token > before.token, "{} does not follow {}", after.token, before.token);
    // A server may have lost what it had not made durable, but then the token is still larger.
    match client.try_take(&held, LONG).await {
        Ok(grant) => assert!(grant.token > kept.token, "{} does not follow {}", grant.token, kept.token),
        Err(holder) => assert_eq!(holder.token, kept.token),
    }
}

pub(crate) async fn tokens_are_never_small(cx: &Context<'_>) {
    let client = cx.client().await;
    let first = client.take(&cx.name("first"), LONG).await.token;
    let second = client.take(&cx.name("second"), LONG).await.token;
    for token in [first, second] {
        assert!(SERVER_TIMES.contains(&token.get()), "{token} is not the server's time in µs since 1970");
    }
}

pub(crate) async fn token_ahead_of_the_clock_counts_on(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("ahead");
    client.release(&client.take(&name, LONG).await).await;
    let ahead = FencingToken::new(8_000_000_000_000_000);
    set_token(cx, &name, ahead).await;

    let grant = client.take(&name, LONG).await;
    assert_eq!(grant.token.get(), ahead.get() + 1, "max(last + 1, server time)");
    client.release(&grant).await;
    let grant = client.take(&name, SHORT).await;
    assert_eq!(grant.token.get(), ahead.get() + 2);
    client.until_free(&name).await;
    assert_eq!(client.take(&name, LONG).await.token.get(), ahead.get() + 3);
}

pub(crate) async fn token_near_the_maximum_is_an_error(cx: &Context<'_>) {
    let client = cx.client().await;
    let name = cx.name("exhausted");
    client.release(&client.take(&name, LONG).await).await;
    let max = client.store.capabilities().max_token;
    set_token(cx, &name, FencingToken::new(max - 1)).await;

    let last = client.take(&name, LONG).await;
    assert_eq!(last.token.get(), max, "the largest token is still a token");
    client.release(&last).await;
    for _ in 0..3 {
        let request = AcquireRequest::new(name.clone(), new_grant(), label(LABEL), LONG);
        match client.store.acquire(&[request]).await {
            Ok(answer) => panic!("there is no token after {max}: {answer:?}"),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::TokenExhausted, "{}", chain(&error)),
        }
        assert_eq!(client.inspect(&name).await, None, "an error has no effect");
    }
}

/// Releases the grant, whose token must be larger than the last; its token.
async fn larger(grant: Grant, last: FencingToken, client: &Client) -> FencingToken {
    assert!(grant.token > last, "{} does not follow {last}", grant.token);
    client.release(&grant).await;
    grant.token
}

async fn set_token(cx: &Context<'_>, name: &LockName, token: FencingToken) {
    if let Err(error) = cx.damage().set_token(SHARED_SPACE, name, token).await {
        panic!("the fixture could not set the token: {error}");
    }
}

pub(super) async fn restart(cx: &Context<'_>) {
    if let Err(error) = cx.restart().restart().await {
        panic!("the fixture could not restart the server: {error}");
    }
}

/// From 2020 to 2100.
const SERVER_TIMES: std::ops::Range<i64> = 1_577_836_800_000_000..4_102_444_800_000_000;
