//! Many requests in one call: each is answered on its own, in its place.

use golock_core::LostReason::{Expired, Revoked, RowGone, Taken};
use golock_core::store::ReleaseAnswer::{self, AlreadyReleased, NotYours, Released};
use golock_core::store::{AcquireAnswer, AcquireRequest, ReleaseRequest, RenewAnswer, RenewRequest};
use golock_core::{FencingToken, GrantId, LockName};
use std::time::Duration;

use crate::client::{Client, Grant, LABEL, LONG, SHORT, label, ok};
use crate::context::{Context, new_grant};

pub(crate) async fn acquires_are_answered_in_their_order(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let names = cx.names("mixed", batch_size(&client, 40));
    // Every third is held by another.
    let mut held = Vec::new();
    for name in names.iter().step_by(3) {
        held.push(other.take(name, LONG).await);
    }
    let (answers, grants) = acquire_all(&client, &names).await;
    for (at, answer) in answers.iter().enumerate() {
        match answer {
            AcquireAnswer::Held(holder) if at % 3 == 0 => assert_eq!(holder.token, held[at / 3].token),
            AcquireAnswer::Granted { token, remaining, .. } if at % 3 != 0 => {
                let info = client.info(&names[at]).await;
                assert_eq!(info.token, *token, "the answer of another name");
                assert_eq!(info.lock_by.as_str(), label_of(at), "the label of another name");
                assert_is_of(lease_of(at), *remaining);
                assert_is_of(lease_of(at), info.remaining);
                let grant =
                    Grant { name: names[at].clone(), id: grants[at], token: *token, remaining: *remaining };
                client.renewed(&grant, LONG).await;
            }
            answer => panic!("request {at} of {}: {answer:?}", names.len()),
        }
    }
}

pub(crate) async fn renewals_are_answered_in_their_order(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let names = cx.names("mixed", batch_size(&client, 42));
    let mut requests = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let (id, token) = match at % 6 {
            0 | 1 => renewable(&client.take(name, LONG).await),
            2 => renewable(&client.take(name, Duration::from_millis(10)).await),
            3 => {
                let grant = client.take(name, LONG).await;
                client.release(&grant).await;
                renewable(&grant)
            }
            4 => (new_grant(), other.take(name, LONG).await.token),
            _ => (new_grant(), FencingToken::new(1)),
        };
        requests.push(RenewRequest::new(name.clone(), id, token, lease_of(at)));
    }
    for expiring in names.iter().skip(2).step_by(6) {
        client.until_free(expiring).await;
    }
    let answers = ok(client.store.renew(&requests).await);
    assert_eq!(answers.len(), requests.len());
    for (at, answer) in answers.iter().enumerate() {
        match (at % 6, answer) {
            (0 | 1, RenewAnswer::Renewed { remaining, .. }) => {
                assert_is_of(lease_of(at), *remaining);
                assert_is_of(lease_of(at), client.info(&names[at]).await.remaining);
            }
            (2, RenewAnswer::Lost(Expired)) | (3, RenewAnswer::Lost(Revoked)) => {}
            (4, RenewAnswer::Lost(Taken)) | (5, RenewAnswer::Lost(RowGone)) => {}
            _ => panic!("request {at}, of kind {}: {answer:?}", at % 6),
        }
    }
}

pub(crate) async fn releases_are_answered_in_their_order(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let names = cx.names("mixed", batch_size(&client, 40));
    let mut requests = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let id = match at % 5 {
            0 | 1 => client.take(name, LONG).await.id,
            2 => {
                let grant = client.take(name, LONG).await;
                client.release(&grant).await;
                grant.id
            }
            3 => {
                other.take(name, LONG).await;
                new_grant()
            }
            _ => new_grant(),
        };
        let lock_at_least = if at % 5 == 1 { LONG / 2 } else { Duration::ZERO };
        requests.push(ReleaseRequest::new(name.clone(), id, lock_at_least));
    }
    let answers = ok(client.store.release(&requests).await);
    let expected: Vec<ReleaseAnswer> = (0..names.len())
        .map(|at| match at % 5 {
            0 | 1 => Released,
            2 => AlreadyReleased,
            3 => NotYours(Taken),
            _ => NotYours(RowGone),
        })
        .collect();
    assert_eq!(answers, expected);
    for (at, name) in names.iter().enumerate() {
        let held = client.inspect(name).await.map(|info| info.released);
        let expected = [None, Some(true), None, Some(false), None][at % 5];
        assert_eq!(held, expected, "request {at}, of kind {}", at % 5);
    }
}

pub(crate) async fn full_batches_are_taken(cx: &Context<'_>) {
    let client = cx.client().await;
    let names = cx.names("full", batch_size(&client, 1_000));
    let (answers, grants) = acquire_all(&client, &names).await;
    let mut renewals = Vec::new();
    let mut releases = Vec::new();
    for ((answer, name), id) in answers.iter().zip(&names).zip(&grants) {
        let AcquireAnswer::Granted { token, .. } = answer else { panic!("{name:?} was free: {answer:?}") };
        renewals.push(RenewRequest::new(name.clone(), *id, *token, LONG));
        releases.push(ReleaseRequest::new(name.clone(), *id, Duration::ZERO));
    }
    let renewed = ok(client.store.renew(&renewals).await);
    assert_eq!(renewed.len(), names.len());
    for answer in &renewed {
        crate::client::remaining(answer);
    }
    assert_eq!(ok(client.store.release(&releases).await), vec![Released; names.len()]);
}

pub(crate) async fn empty_batches_are_answered_emptily(cx: &Context<'_>) {
    let client = cx.client().await;
    assert_eq!(ok(client.store.acquire(&[]).await), []);
    assert_eq!(ok(client.store.renew(&[]).await), []);
    assert_eq!(ok(client.store.release(&[]).await), []);
}

pub(crate) async fn a_retried_batch_keeps_its_tokens(cx: &Context<'_>) {
    let (client, retry) = (cx.client().await, cx.client().await);
    let names = cx.names("retried", batch_size(&client, 20));
    let (first, grants) = acquire_all(&client, &names).await;
    let requests = acquire_requests(&names, &grants);
    let second = ok(retry.store.acquire(&requests).await);
    assert_eq!(tokens(&first), tokens(&second));

    // Half of it ran out meanwhile: only that half gets new tokens.
    let names = cx.names("expiring", batch_size(&client, 20));
    let (old, grants) = acquire_all(&client, &names).await;
    for (at, name) in names.iter().enumerate().filter(|(at, _)| at % 2 == 1) {
        client.undo(name, grants[at]).await;
        client.take(name, SHORT).await;
        client.until_free(name).await;
    }
    let mut requests = acquire_requests(&names, &grants);
    for request in requests.iter_mut().skip(1).step_by(2) {
        request.grant = new_grant();
    }
    let new = ok(retry.store.acquire(&requests).await);
    for (at, (old, new)) in tokens(&old).into_iter().zip(tokens(&new)).enumerate() {
        assert_eq!(old == new, at % 2 == 0, "request {at}: {old}, then {new}");
        assert!(new >= old);
    }
}

async fn acquire_all(client: &Client, names: &[LockName]) -> (Vec<AcquireAnswer>, Vec<GrantId>) {
    let grants: Vec<GrantId> = names.iter().map(|_| new_grant()).collect();
    let answers = ok(client.store.acquire(&acquire_requests(names, &grants)).await);
    assert_eq!(answers.len(), names.len());
    (answers, grants)
}

fn acquire_requests(names: &[LockName], grants: &[GrantId]) -> Vec<AcquireRequest> {
    let requests = names.iter().zip(grants).enumerate();
    let request = |(at, (name, id)): (usize, (&LockName, &GrantId))| {
        AcquireRequest::new(name.clone(), *id, label(&label_of(at)), lease_of(at))
    };
    requests.map(request).collect()
}

/// Requests that stand side by side have labels and leases of their own.
fn label_of(at: usize) -> String {
    format!("{LABEL} {at}")
}

fn lease_of(at: usize) -> Duration {
    LONG * (1 + at as u32 % 4)
}

#[track_caller]
fn assert_is_of(lease: Duration, remaining: Duration) {
    assert!(remaining <= lease && remaining > lease - LONG / 2, "{remaining:?} remain of {lease:?}");
}

fn renewable(grant: &Grant) -> (GrantId, FencingToken) {
    (grant.id, grant.token)
}

#[track_caller]
fn tokens(answers: &[AcquireAnswer]) -> Vec<FencingToken> {
    let token = |answer: &AcquireAnswer| match answer {
        AcquireAnswer::Granted { token, .. } => *token,
        answer => panic!("the name was free: {answer:?}"),
    };
    answers.iter().map(token).collect()
}

fn batch_size(client: &Client, wanted: usize) -> usize {
    client.store.capabilities().max_batch.min(wanted)
}
