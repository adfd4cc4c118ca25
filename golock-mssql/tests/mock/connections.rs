//! Connections that are silent, break, are used again, and are not waited for.

use std::error::Error;
use std::io;
use std::time::Duration;

use golock_core::store::Operation;
use golock_core::{FencingToken, LockStore, StoreErrorKind as Kind};
use golock_mssql::MssqlStoreBuilder;

use crate::tds::wire::Parameter;
use crate::tds::{self, Reply, Scripted};
use crate::{acquire, builder, name, release, renew, try_acquire};

/// Soon given up, for tests that wait for it.
fn impatient() -> MssqlStoreBuilder {
    builder().request_timeout(Duration::from_millis(300))
}

/// A server that never answers this.
async fn silent(what: &'static str) -> Scripted {
    Scripted::start(move |asked| (asked.what() == what).then_some(Reply::Silence)).await
}

/// One that sends its clients on to a port of this machine.
async fn gateway(host: &'static str, port: u16) -> Scripted {
    Scripted::start(move |asked| (asked.what() == "login").then(|| Reply::Route(host.to_owned(), port))).await
}

#[tokio::test]
async fn silence_is_given_up_in_time_and_its_connection_closed() {
    let server = silent("acquire").await;
    let store = server.store(impatient());
    let error = try_acquire(&store).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    server.was_closed(1).await;
    // Another call is answered, over another connection.
    store.revoke(&name("job")).await.unwrap();
    assert_eq!(server.asked_to("fence")[0].connection, 2);
}

#[tokio::test]
async fn silence_at_login_is_given_up_in_time() {
    let server = silent("login").await;
    let error = server.store(impatient()).ready().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::Timeout, Operation::Connect));
    server.was_closed(1).await;
}

/// Reset: what was not sent yet is not sent later either.
#[tokio::test]
async fn a_call_that_is_given_up_is_sent_no_further() {
    let server = silent("acquire").await;
    let store = server.store(impatient());
    try_acquire(&store).await.unwrap_err();
    assert_eq!(server.was_closed(1).await, Some(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn readiness_is_not_waited_for_longer_than_told() {
    let server = silent("acquire").await;
    let store = server.store(impatient().acquire_sessions(1));
    // One after the other, each for as long as it may.
    let ahead = ["job"; 8].map(acquire);
    let error = tokio::select! {
        biased;
        _ = store.acquire(&ahead) => panic!("these take eight times the request timeout"),
        outcome = store.ready() => outcome.unwrap_err(),
    };
    assert_eq!((error.kind(), error.operation()), (Kind::Timeout, Operation::Connect));
    assert!(error.source().unwrap().to_string().contains("four times the request timeout"), "{error:?}");
}

#[tokio::test]
async fn dropped_calls_close_their_connection() {
    let server = silent("acquire").await;
    let store = server.store(builder());
    tokio::select! {
        _ = try_acquire(&store) => panic!("nobody answered"),
        _ = server.was_asked_to("acquire") => {}
    }
    server.was_closed(1).await;
    assert_eq!(store.revoke(&name("job")).await.unwrap(), Some(FencingToken::new(8)));
    assert_eq!(server.asked_to("fence")[0].connection, 2);
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_unknown_outcome() {
    let server = Scripted::start(|asked| (asked.what() == "acquire").then_some(Reply::Close)).await;
    let error = try_acquire(&server.store(builder())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connection);
    assert!(!error.kind().took_no_effect());
    // Not repeated by the store: what became of it is the engine's to find out.
    assert_eq!(server.asked_to("acquire").len(), 1);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_unnoticed() {
    let server = Scripted::start(|asked| {
        let is_last = asked.what() == "acquire" && asked.connection == 1;
        is_last.then(|| Reply::Last(Box::new(tds::usual(asked))))
    })
    .await;
    let store = server.store(builder());
    try_acquire(&store).await.unwrap();
    server.was_closed(1).await;
    try_acquire(&store).await.unwrap();
    assert_eq!(server.asked_to("acquire")[1].connection, 2);
}

#[tokio::test]
async fn an_answered_session_is_used_again() {
    let server = Scripted::usual().await;
    let store = server.store(builder());
    for _ in 0..3 {
        try_acquire(&store).await.unwrap();
    }
    assert_eq!(server.asked_to("login").len(), 1);
}

#[tokio::test]
async fn blocked_acquires_delay_neither_renewals_nor_releases() {
    let server = silent("acquire").await;
    let store = server.store(builder().acquire_sessions(1));
    tokio::select! {
        _ = try_acquire(&store) => panic!("nobody answered"),
        () = async {
            server.was_asked_to("acquire").await;
            store.renew(&[renew("job")]).await.unwrap();
            store.release(&[release("job")]).await.unwrap();
        } => {}
    }
}

#[tokio::test]
async fn a_hanging_renewal_delays_no_other_and_no_release() {
    let server = Scripted::start(|asked| {
        let hangs = asked.what() == "renew" && asked.parameters[0] == Parameter::Bytes(b"hangs\x01".to_vec());
        hangs.then_some(Reply::Silence)
    })
    .await;
    let store = server.store(builder());
    let hanging = [renew("hangs")];
    tokio::select! {
        _ = store.renew(&hanging) => panic!("nobody answered"),
        () = async {
            server.was_asked_to("renew").await;
            store.renew(&[renew("job")]).await.unwrap();
            store.release(&[release("job")]).await.unwrap();
        } => {}
    }
}

#[tokio::test]
async fn a_few_hanging_releases_delay_no_other() {
    let server = Scripted::start(|asked| {
        let hangs =
            asked.what() == "release" && asked.parameters[0] == Parameter::Bytes(b"hangs\x01".to_vec());
        hangs.then_some(Reply::Silence)
    })
    .await;
    let store = server.store(builder().request_timeout(Duration::from_secs(600)));
    let hanging = ["hangs"; 3].map(release);
    tokio::select! {
        _ = store.release(&hanging) => panic!("nobody answered"),
        () = async {
            server.was_asked_often("release", 3).await;
            store.release(&[release("job")]).await.unwrap();
        } => {}
    }
}

#[tokio::test]
async fn the_gateway_of_azure_is_followed() {
    let database = Scripted::usual().await;
    let gateway = gateway("localhost", database.port()).await;
    let store = gateway.store(builder());
    try_acquire(&store).await.unwrap();
    assert_eq!(gateway.asked().len(), 1);
    assert_eq!(database.asked_to("acquire").len(), 1);
}

#[tokio::test]
async fn gateways_that_send_on_for_ever_are_given_up() {
    let database = Scripted::usual().await;
    // One hop more than there should be.
    let second = gateway("127.0.0.1", database.port()).await;
    let first = gateway("127.0.0.1", second.port()).await;
    let error = first.store(builder()).ready().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connection);
    assert!(database.asked().is_empty());
}
