//! Stores that can't work, sessions that are not as they should be, and connections that come and go.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use golock_core::store::{AcquireRequest, ReleaseAnswer};
use golock_core::{LockStore, StoreError, StoreErrorKind};
use tokio::task::JoinSet;
use tokio::time;

use super::faults::store_through_proxy;
use super::locking::done;
use crate::client::{Client, LABEL, LONG, label};
use crate::context::{Context, chain, declared, new_grant, store_error};
use crate::fixture::{Fault, Misconfigured};
use crate::patience::{Patience, within_reason};
use crate::proxy::Direction;

pub(crate) async fn wrong_password_is_told(cx: &Context<'_>) {
    told(cx, declared(cx.abilities().wrong_password), Fault::WrongPassword, StoreErrorKind::Authentication)
        .await;
}

pub(crate) async fn missing_schema_is_told(cx: &Context<'_>) {
    told(cx, declared(cx.abilities().schema_missing), Fault::SchemaMissing, StoreErrorKind::SchemaMissing)
        .await;
}

pub(crate) async fn missing_permission_is_told(cx: &Context<'_>) {
    told(cx, declared(cx.abilities().no_permission), Fault::NoPermission, StoreErrorKind::Permission).await;
}

pub(crate) async fn refused_tls_is_told(cx: &Context<'_>) {
    told(cx, declared(cx.abilities().tls_refused), Fault::TlsRefused, StoreErrorKind::Tls).await;
}

pub(crate) async fn unreachable_server_is_told(cx: &Context<'_>) {
    // A port that was free a moment ago.
    let listener = done(tokio::net::TcpListener::bind(("127.0.0.1", 0)).await);
    let nowhere = done(listener.local_addr());
    drop(listener);
    let space = cx.own_space();
    let failed = within_reason("the error", async {
        match cx.through().store_through(&space, nowhere).await {
            Ok(store) => first_use(cx, &store).await,
            Err(error) => Some(error),
        }
    });
    let Some(error) = failed.await else { panic!("locked on a server that is not there") };
    let kind = store_error(&*error).map(StoreError::kind);
    assert_eq!(kind, Some(StoreErrorKind::Connection), "{}", chain(&*error));
}

pub(crate) async fn unusual_sessions_are_repaired_or_refused_by_name(cx: &Context<'_>) {
    let space = cx.own_space();
    let witness = cx.client_in(&space).await;
    for setting in cx.sessions().settings() {
        let opened = cx.sessions().store_with(&space, setting).await;
        let error = match opened {
            Ok(store) => match first_use(cx, &store).await {
                None => {
                    works_for_others_too(cx, &Client::new(store), &witness, setting).await;
                    continue;
                }
                Some(error) => error,
            },
            Err(error) => error,
        };
        let kind = store_error(&*error).map(StoreError::kind);
        assert!(
            matches!(kind, Some(StoreErrorKind::Configuration | StoreErrorKind::ReadOnly)),
            "{setting}: {kind:?}: {}",
            chain(&*error)
        );
        let named = setting.split(['=', ' ']).next().unwrap_or(setting);
        assert!(chain(&*error).contains(named), "{setting} is not named: {}", chain(&*error));
    }
}

pub(crate) async fn schema_is_created_by_32_stores_at_once(cx: &Context<'_>) {
    let space = cx.own_space();
    let opening = (0..32).map(|_| cx.client_in(&space));
    let clients = futures_util::future::join_all(opening).await;
    let name = cx.name("first");
    let grant = clients[0].take(&name, LONG).await;
    for client in &clients {
        assert_eq!(client.refused(&name).await.token, grant.token, "over another table");
    }
}

pub(crate) async fn schema_text_tells_no_secret(cx: &Context<'_>) {
    let client = cx.client().await;
    let schema = client.store.schema();
    assert!(!schema.trim().is_empty(), "an administrator is told nothing");
    let secrets = cx.abilities().wrong_password.map(Misconfigured::secrets).unwrap_or_default();
    for secret in secrets {
        assert!(!schema.contains(&secret), "the schema shows a password");
        let debug = format!("{:?}", client.store);
        assert!(!debug.contains(&secret), "Debug of the store shows a password");
    }
}

pub(crate) async fn one_client_serves_many_tasks(cx: &Context<'_>) {
    let client = cx.client().await.patient();
    let mut tasks = JoinSet::new();
    for name in cx.names("task", 100) {
        let client = client.clone();
        tasks.spawn(async move {
            let grant = client.take(&name, LONG).await;
            client.renewed(&grant, LONG).await;
            assert_eq!(client.info(&name).await.token, grant.token);
            assert_eq!(client.release(&grant).await, ReleaseAnswer::Released);
        });
    }
    while let Some(ended) = tasks.join_next().await {
        crate::patience::unpanicked(ended);
    }
}

pub(crate) async fn login_slower_than_its_callers_serves_the_last(cx: &Context<'_>) {
    let (proxy, store, other) = store_through_proxy(cx).await;
    let client = Client::new(store);
    let grant = client.take(&cx.name("renewed"), LONG).await;
    let connections = proxy.connections();
    proxy.hold(Direction::ToClient);
    let callers = 12;
    for _ in 0..callers {
        // Where renewals have a connection of their own, it is opened now.
        let renewed = time::timeout(Duration::from_millis(100), client.renew(&grant, LONG)).await;
        assert!(renewed.is_err(), "answered, although answers are held: {renewed:?}");
    }
    proxy.let_go(Direction::ToClient);
    within_reason("the renewal", client.patient().renewed(&grant, LONG)).await;
    assert_eq!(other.refused(&grant.name).await.token, grant.token);
    let opened = proxy.connections() - connections;
    assert!(opened <= callers / 2, "{opened} connections for {callers} callers, one after the other");
}

pub(crate) async fn dropped_stores_close_their_connections(cx: &Context<'_>) {
    let before = quiet_connections(cx).await;
    let mut clients = Vec::new();
    for _ in 0..STORES {
        let client = cx.client().await;
        let name = cx.name("connected");
        client.release(&client.take(&name, LONG).await).await;
        if client.store.capabilities().wakeups {
            drop(super::pushing::listening(&client).await);
        }
        clients.push(client);
    }
    let during = done(cx.connections().count_connections().await);
    assert!(during >= clients.len(), "{} stores in use have {during} connections", clients.len());
    drop(clients);
    let mut patience = Patience::for_("all connections of the dropped stores to be closed");
    // One that stays open for each of them is as many. A few may be others': of an earlier case's locker that connects again.
    while done(cx.connections().count_connections().await) >= before + STORES {
        patience.pause().await;
    }
}

/// How many stores are opened and dropped.
const STORES: usize = 10;

/// How many connections there are when those of earlier cases have been closed: none has gone for a while.
async fn quiet_connections(cx: &Context<'_>) -> usize {
    let mut patience = Patience::for_("the connections of earlier cases to be closed");
    let (mut fewest, mut looks) = (usize::MAX, 0);
    while looks < 20 {
        let count = done(cx.connections().count_connections().await);
        (fewest, looks) = if count < fewest { (count, 0) } else { (fewest, looks + 1) };
        patience.pause().await;
    }
    fewest
}

async fn told(cx: &Context<'_>, fixture: &dyn Misconfigured, fault: Fault, expected: StoreErrorKind) {
    let failed = within_reason("the error", async {
        match fixture.misconfigured(fault).await {
            Ok(store) => {
                let debug = format!("{store:?}");
                assert!(
                    !fixture.secrets().iter().any(|secret| debug.contains(secret)),
                    "Debug shows a password"
                );
                first_use(cx, &store).await
            }
            Err(error) => Some(error),
        }
    });
    let Some(error) = failed.await else { panic!("locked in spite of {fault}") };
    let text = format!("{} {error:?}", chain(&*error));
    assert!(!fixture.secrets().iter().any(|secret| text.contains(secret)), "the error shows a password");
    match store_error(&*error) {
        Some(error) => assert_eq!(error.kind(), expected, "{fault}: {}", chain(error)),
        None => panic!("{fault} is told without a StoreError: {}", chain(&*error)),
    }
    assert!(!expected.is_transient());
}

/// Locks and unlocks a name of its own; the error, if one came of it.
async fn first_use(cx: &Context<'_>, store: &Arc<dyn LockStore>) -> Option<Box<dyn Error + Send + Sync>> {
    let request = AcquireRequest::new(cx.name("first"), new_grant(), label(LABEL), LONG);
    store.acquire(&[request]).await.err().map(Into::into)
}

/// What this session is granted, others see; what it releases, they get; and its clock is the server's.
async fn works_for_others_too(cx: &Context<'_>, client: &Client, witness: &Client, setting: &str) {
    let name = cx.name("unusual");
    let grant = client.take(&name, LONG).await;
    let refusal = witness.refused(&name).await;
    assert_eq!(refusal.token, grant.token, "{setting}: not what the others see");
    assert!(refusal.remaining <= LONG && refusal.remaining > LONG / 2, "{setting}: {refusal}");
    client.renewed(&grant, LONG).await;
    assert_eq!(client.release(&grant).await, ReleaseAnswer::Released, "{setting}");
    let other = witness.take(&name, LONG).await;
    assert!(other.token > grant.token, "{setting}: {} does not follow {}", other.token, grant.token);
    let refusal = client.refused(&name).await;
    assert!(refusal.remaining <= LONG && refusal.remaining > LONG / 2, "{setting}: {refusal}");
}
