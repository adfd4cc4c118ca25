//! Sessions whose callers are gone before they are open: what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use golock_core::LockStore;
use golock_mssql::{MssqlStore, MssqlStoreBuilder};
use tokio::sync::Semaphore;

use crate::tds::{self, Asked, Reply, Scripted};
use crate::{builder, name, renew};

/// Opens sessions without haste: what a test waits for comes sooner.
fn patient() -> MssqlStoreBuilder {
    builder().create_table(false).request_timeout(Duration::from_secs(600))
}

/// A server whose first logins, so many of them, are answered as `outcome` says, when there is a permit.
async fn slow(
    logins: usize,
    outcome: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (Scripted, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let needed = Arc::clone(&permits);
    let server = Scripted::start(move |asked| {
        let is_slow = asked.what() == "login" && asked.connection <= logins;
        is_slow.then(|| Reply::Late(Arc::clone(&needed), Box::new(outcome(asked))))
    })
    .await;
    (server, permits)
}

/// A renewal that is given up while its session logs in.
async fn given_up(store: &MssqlStore, server: &Scripted) {
    let asked = [renew("job")];
    tokio::select! {
        _ = store.renew(&asked) => panic!("nobody answered"),
        _ = server.was_asked_to("login") => {}
    }
}

#[tokio::test]
async fn a_login_slower_than_its_callers_patience_serves_the_next() {
    let (server, permits) = slow(1, tds::usual).await;
    let store = server.store(patient());
    for _ in 0..3 {
        given_up(&store, &server).await;
    }
    permits.add_permits(1);
    store.renew(&[renew("job")]).await.unwrap();
    assert_eq!(server.asked_to("login").len(), 1);
    assert_eq!(server.asked_to("renew")[0].connection, 1);
}

#[tokio::test]
async fn a_login_that_nobody_waits_for_ends_with_the_store() {
    let (server, _none) = slow(1, tds::usual).await;
    let store = server.store(patient());
    given_up(&store, &server).await;
    drop(store);
    server.was_closed(1).await;
}

#[tokio::test]
async fn a_login_that_nobody_waits_for_is_given_up_in_time() {
    let (server, _none) = slow(1, tds::usual).await;
    let store = server.store(patient().request_timeout(Duration::from_millis(300)));
    given_up(&store, &server).await;
    server.was_closed(1).await;
    store.renew(&[renew("job")]).await.unwrap();
    assert_eq!(server.asked_to("renew")[0].connection, 2);
}

#[tokio::test]
async fn a_login_refused_when_nobody_waits_is_no_failure_of_the_next() {
    let (server, permits) = slow(1, |_| Reply::Error { number: 18456, class: 14 }).await;
    let store = server.store(patient());
    given_up(&store, &server).await;
    permits.add_permits(1);
    store.renew(&[renew("job")]).await.unwrap();
    assert_eq!(server.asked_to("renew")[0].connection, 2);
}

#[tokio::test]
async fn a_session_closed_before_anybody_came_for_it_is_replaced_unnoticed() {
    let server = Scripted::start(|asked| {
        let is_last = asked.what() == "session" && asked.connection == 1;
        is_last.then(|| Reply::Last(Box::new(tds::usual(asked))))
    })
    .await;
    let store = server.store(patient());
    given_up(&store, &server).await;
    server.was_closed(1).await;
    store.renew(&[renew("job")]).await.unwrap();
    assert_eq!(server.asked_to("renew")[0].connection, 2);
}

#[tokio::test]
async fn sessions_that_nobody_waited_for_count_among_those_of_the_lane() {
    let (server, permits) = slow(usize::MAX, tds::usual).await;
    let store = server.store(patient().acquire_sessions(2));
    let names = ["one", "other", "third"].map(name);
    tokio::select! {
        _ = async { tokio::join!(store.revoke(&names[0]), store.revoke(&names[1])) } => panic!("nobody answered"),
        _ = server.was_asked_often("login", 2) => {}
    }
    permits.add_permits(10);
    let revoked = tokio::join!(store.revoke(&names[0]), store.revoke(&names[1]), store.revoke(&names[2]));
    assert!(revoked.0.is_ok() && revoked.1.is_ok() && revoked.2.is_ok(), "{revoked:?}");
    assert_eq!(server.asked_to("login").len(), 2);
}
