//! Many clients at once on few names.

use std::sync::Arc;
use std::time::Duration;

use golock_core::store::{AcquireAnswer, AcquireRequest, ReleaseAnswer, ReleaseRequest, RenewRequest};
use golock_core::{Holder, LockName, StoreError, StoreErrorKind};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::client::{Client, Grant, LABEL, LONG, label, ok};
use crate::context::{Context, new_grant};
use crate::effort;
use crate::patience::{Patience, unpanicked};

pub(crate) async fn one_winner_a_round_on_fresh_names(cx: &Context<'_>) {
    on_fresh_names(cx, effort::rounds()).await;
}

pub(crate) async fn one_winner_a_round_on_released_names(cx: &Context<'_>) {
    on_a_released_name(cx, effort::rounds()).await;
}

pub(crate) async fn one_winner_a_round_on_expired_names(cx: &Context<'_>) {
    on_an_expired_name(cx, effort::rounds()).await;
}

pub(crate) async fn one_winner_in_each_of_a_hundred_rounds(cx: &Context<'_>) {
    on_fresh_names(cx, 100).await;
    on_a_released_name(cx, 100).await;
    on_an_expired_name(cx, 100).await;
}

pub(crate) async fn concurrent_retries_of_one_grant_get_one_token(cx: &Context<'_>) {
    let clients = clients(cx, 4).await;
    for _ in 0..effort::rounds() {
        let name = cx.name("retried");
        let id = new_grant();
        let grants = all_at_once(&clients, 8, {
            let name = name.clone();
            move |client| {
                let name = name.clone();
                async move { client.try_take_as(&name, id, LONG).await }
            }
        })
        .await;
        let current = clients[0].info(&name).await.token;
        for grant in grants {
            match grant {
                Ok(grant) => assert_eq!(grant.token, current, "two tokens of one grant"),
                Err(holder) => panic!("{id} is refused for itself: {holder}"),
            }
        }
    }
}

pub(crate) async fn concurrent_releases_release_once(cx: &Context<'_>) {
    let clients = clients(cx, 4).await;
    for _ in 0..effort::rounds() {
        let name = cx.name("released");
        let grant = clients[0].take(&name, LONG).await;
        let answers = all_at_once(&clients, 8, move |client| {
            let grant = grant.clone();
            async move { client.release(&grant).await }
        })
        .await;
        let released = answers.iter().filter(|answer| **answer == ReleaseAnswer::Released).count();
        let already = answers.iter().filter(|answer| **answer == ReleaseAnswer::AlreadyReleased).count();
        // If one was repeated, its first try may have been the one that released.
        let certain = !clients.iter().any(Client::asked_again);
        assert!(released == 1 || released == 0 && !certain, "{answers:?}");
        assert_eq!(released + already, 8, "{answers:?}");
    }
}

pub(crate) async fn undo_racing_its_acquire_leaves_no_orphan(cx: &Context<'_>) {
    let clients = clients(cx, 2).await;
    for round in 0..effort::rounds() * 2 {
        let name = cx.name("undone");
        if round % 2 == 1 {
            clients[0].release(&clients[0].take(&name, LONG).await).await;
        }
        let id = new_grant();
        let acquiring = clients[0].acquire(&name, id, LABEL, LONG);
        let undoing = clients[1].undo(&name, id);
        // Whichever comes first: the acquire is refused, or what it got is given back.
        tokio::join!(acquiring, undoing);
        assert_eq!(clients[0].inspect(&name).await, None, "an orphan");
        clients[1].take(&name, LONG).await;
    }
}

pub(crate) async fn renewal_racing_the_release_recreates_nothing(cx: &Context<'_>) {
    let clients = clients(cx, 2).await;
    for _ in 0..effort::rounds() * 2 {
        let name = cx.name("released");
        let grant = clients[0].take(&name, LONG).await;
        let (renewed, released) = tokio::join!(clients[0].renew(&grant, LONG), clients[1].release(&grant));
        let repeated = released == ReleaseAnswer::AlreadyReleased && clients[1].asked_again();
        assert!(released == ReleaseAnswer::Released || repeated, "{released:?} beside {renewed:?}");
        assert_eq!(clients[0].inspect(&name).await, None, "beside {renewed:?}");
        clients[1].take(&name, LONG).await;
    }
}

pub(crate) async fn batches_in_opposite_orders_neither_fail_nor_block(cx: &Context<'_>) {
    let clients = clients(cx, 4).await;
    let size = clients[0].store.capabilities().max_batch.min(12);
    let names = Arc::new(cx.names("shared", size));
    let rounds = effort::rounds();
    let mut tasks = JoinSet::new();
    for (at, client) in clients.iter().cloned().enumerate() {
        let names = Arc::clone(&names);
        tasks.spawn(async move {
            for round in 0..rounds {
                let mut names: Vec<LockName> = names.to_vec();
                names.rotate_left((at * 5 + round) % size);
                if (at + round) % 2 == 0 {
                    names.reverse();
                }
                acquire_renew_release(&client, &names).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        unpanicked(ended);
    }
    for name in names.iter() {
        assert_eq!(clients[0].inspect(name).await, None, "an orphan");
    }
}

/// Everything in batches; what was not granted is undone, as the engine does.
async fn acquire_renew_release(client: &Client, names: &[LockName]) {
    let wanted: Vec<AcquireRequest> =
        names.iter().map(|name| AcquireRequest::new(name.clone(), new_grant(), label(LABEL), LONG)).collect();
    let (answers, _) = until_answered(wanted.len(), || client.store.acquire(&wanted)).await;
    let granted = |answer: &AcquireAnswer| matches!(answer, AcquireAnswer::Granted { .. });
    let renewals: Vec<RenewRequest> = wanted
        .iter()
        .zip(&answers)
        .filter_map(|(wanted, answer)| match answer {
            AcquireAnswer::Granted { token, .. } => {
                Some(RenewRequest::new(wanted.name.clone(), wanted.grant, *token, LONG))
            }
            _ => None,
        })
        .collect();
    for answer in until_answered(renewals.len(), || client.store.renew(&renewals)).await.0 {
        crate::client::remaining(&answer);
    }
    let releases: Vec<ReleaseRequest> = wanted
        .iter()
        .map(|wanted| ReleaseRequest::new(wanted.name.clone(), wanted.grant, Duration::ZERO))
        .collect();
    let (released, at_once) = until_answered(releases.len(), || client.store.release(&releases)).await;
    for (answer, acquired) in released.iter().zip(&answers).filter(|_| at_once) {
        assert_eq!(*answer == ReleaseAnswer::Released, granted(acquired), "{acquired:?}, then {answer:?}");
    }
}

/// The answers, and whether the first call had them. Only that it took too long excuses a call: another waits for the
/// same rows, and the machine may be busy. Of a call for one name the store may be sure that it came to nothing.
async fn until_answered<T, F>(requests: usize, call: impl Fn() -> F) -> (Vec<T>, bool)
where
    F: Future<Output = Result<Vec<T>, StoreError>>,
{
    let mut patience = Patience::for_("the answers to a batch");
    let mut at_once = true;
    loop {
        match call().await {
            Err(error) if error.kind() == StoreErrorKind::Timeout => at_once = false,
            Err(error) if error.kind() == StoreErrorKind::Conflict && requests == 1 => at_once = false,
            answers => return (ok(answers), at_once),
        }
        patience.pause().await;
    }
}

async fn on_fresh_names(cx: &Context<'_>, rounds: usize) {
    let clients = clients(cx, 8).await;
    for _ in 0..rounds {
        race(&clients, cx.name("fresh")).await;
    }
}

async fn on_a_released_name(cx: &Context<'_>, rounds: usize) {
    let clients = clients(cx, 8).await;
    let name = cx.name("released");
    let mut last = clients[0].take(&name, LONG).await;
    for _ in 0..rounds {
        clients[0].release(&last).await;
        let winner = race(&clients, name.clone()).await;
        assert!(winner.token > last.token, "{} does not follow {}", winner.token, last.token);
        last = winner;
    }
}

async fn on_an_expired_name(cx: &Context<'_>, rounds: usize) {
    let clients = clients(cx, 8).await;
    let name = cx.name("expired");
    for _ in 0..rounds {
        let expired = clients[0].take(&name, Duration::from_millis(10)).await;
        clients[0].until_free(&name).await;
        let winner = race(&clients, name.clone()).await;
        assert!(winner.token > expired.token, "{} does not follow {}", winner.token, expired.token);
        clients[0].release(&winner).await;
    }
}

/// 32 tasks acquire the name at once: one is granted it, and the others are told of that one.
async fn race(clients: &[Client], name: LockName) -> Grant {
    let results: Vec<Result<Grant, Holder>> = all_at_once(clients, 32, move |client| {
        let name = name.clone();
        async move { client.try_take(&name, LONG).await }
    })
    .await;
    let (winners, losers): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let winners: Vec<Grant> = winners.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    for holder in losers.into_iter().filter_map(Result::err) {
        assert_eq!(holder.token, winners[0].token, "the refusal names another holder: {holder}");
    }
    winners[0].clone()
}

async fn clients(cx: &Context<'_>, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(cx.client().await.patient());
    }
    clients
}

/// Runs `count` tasks, which start together, over the clients by turns.
async fn all_at_once<T, F>(clients: &[Client], count: usize, act: impl Fn(Client) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for at in 0..count {
        let acting = act(clients[at % clients.len()].clone());
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            start.wait().await;
            acting.await
        });
    }
    let mut results = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        results.push(unpanicked(ended));
    }
    results
}
