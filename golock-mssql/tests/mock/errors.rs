//! Errors of the server, and what can't work at all.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use golock_core::store::Operation;
use golock_core::{LockStore, StoreErrorKind as Kind};
use golock_mssql::MssqlStore;
use golock_mssql::tiberius::{AuthMethod, Config};
use tokio::net::TcpListener;

use crate::tds::wire::Value;
use crate::tds::{Reply, Scripted};
use crate::{acquire, builder, release, try_acquire};

/// A server that answers this with that error, always.
async fn failing(what: &'static str, number: u32, class: u8) -> Scripted {
    Scripted::start(move |asked| (asked.what() == what).then_some(Reply::Error { number, class })).await
}

#[tokio::test]
async fn errors_of_the_server_are_told_apart() {
    for (number, class, kind) in [
        (229, 14, Kind::Permission),
        (208, 16, Kind::SchemaMissing),
        (1222, 16, Kind::Conflict),
        (3906, 16, Kind::ReadOnly),
        (8115, 16, Kind::TokenExhausted),
        (40501, 16, Kind::Unavailable),
        (50000, 16, Kind::Other),
        // The connection ends with it, and nobody knows whether the statement was committed.
        (596, 21, Kind::Connection),
        (40197, 17, Kind::Connection),
    ] {
        let server = failing("acquire", number, class).await;
        let error = try_acquire(&server.store(builder())).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (kind, Operation::Acquire), "{number}");
        assert!(error.source().unwrap().to_string().contains("as the script says"), "{number}");
    }
}

#[tokio::test]
async fn errors_at_login_are_told_apart() {
    for (number, class, kind) in [
        (18456, 14, Kind::Authentication),
        (4060, 11, Kind::Configuration),
        (40613, 17, Kind::Unavailable),
        (40197, 17, Kind::Unavailable),
        (40615, 14, Kind::Permission),
        (615, 21, Kind::Connection),
        (50000, 14, Kind::Other),
    ] {
        let server = failing("login", number, class).await;
        let error = server.store(builder()).ready().await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (kind, Operation::Connect), "{number}");
        let said = format!("{error} {error:?} {}", error.source().unwrap());
        assert!(!said.contains("sesame"), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_was_there_is_expected_back() {
    let logins = AtomicUsize::new(0);
    let server = Scripted::start(move |asked| match asked.what() {
        "login" if logins.fetch_add(1, Ordering::SeqCst) > 0 => {
            Some(Reply::Error { number: 4060, class: 11 })
        }
        // The session is thrown away.
        "acquire" => Some(Reply::Close),
        _ => None,
    })
    .await;
    let store = server.store(builder());
    store.ready().await.unwrap();
    assert_eq!(try_acquire(&store).await.unwrap_err().kind(), Kind::Connection);
    assert_eq!(try_acquire(&store).await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn what_the_server_took_back_is_tried_once_more() {
    for number in [1205, 601, 3960, 2627, 2601] {
        let acquires = AtomicUsize::new(0);
        let server = Scripted::start(move |asked| {
            let is_first = asked.what() == "acquire" && acquires.fetch_add(1, Ordering::SeqCst) == 0;
            is_first.then_some(Reply::Error { number, class: 13 })
        })
        .await;
        try_acquire(&server.store(builder())).await.unwrap();
        assert_eq!(server.asked_to("acquire").len(), 2, "{number}");
    }
}

#[tokio::test]
async fn a_deadlock_that_goes_on_is_a_conflict() {
    let server = failing("acquire", 1205, 13).await;
    let store = server.store(builder());
    let error = try_acquire(&store).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.is_transient() && error.kind().took_no_effect());
    assert_eq!(server.asked_to("acquire").len(), 2);
    // It leaves the session as it was.
    try_acquire(&store).await.unwrap_err();
    assert!(server.asked_to("acquire").iter().all(|asked| asked.connection == 1));
}

#[tokio::test]
async fn a_failure_after_others_were_served_does_not_say_that_nothing_was_done() {
    for (served, kind) in [(0, Kind::Conflict), (1, Kind::Timeout)] {
        let asked_before = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let server = Scripted::start(move |asked| {
            let at = ["acquire", "release"].iter().position(|what| asked.what() == *what)?;
            let is_served = asked_before[at].fetch_add(1, Ordering::SeqCst) < served;
            (!is_served).then_some(Reply::Error { number: 1205, class: 13 })
        })
        .await;
        let store = server.store(builder());
        let acquired = store.acquire(&[acquire("a"), acquire("b")]).await.unwrap_err();
        let released = store.release(&[release("a"), release("b")]).await.unwrap_err();
        assert_eq!([acquired.kind(), released.kind()], [kind, kind], "{served} served");
    }
}

#[tokio::test]
async fn an_unexpected_error_ends_its_session() {
    for number in [208, 229, 1222, 3906, 8115] {
        let server = failing("acquire", number, 16).await;
        let store = server.store(builder());
        try_acquire(&store).await.unwrap_err();
        server.was_closed(1).await;
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_that_was_asked_for() {
    let server = Scripted::usual().await;
    let url = |encrypt| format!("mssql://app:Open-sesame1@127.0.0.1:{}/app?encrypt={encrypt}", server.port());
    let error = MssqlStore::connect(&url("true")).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::Tls, Operation::Connect));
    assert!(server.asked().is_empty(), "the password was sent");
    MssqlStore::connect(&url("danger_plaintext")).await.unwrap();
}

#[tokio::test]
async fn a_read_only_database_is_told_at_once() {
    let server = Scripted::start(|asked| {
        let row = vec![vec![Value::Text("READ_ONLY")]];
        (asked.what() == "session").then_some(Reply::Rows(&["updateability"], row))
    })
    .await;
    let error = server.store(builder()).ready().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::ReadOnly, Operation::Connect));
}

#[tokio::test]
async fn nobody_there_is_no_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("mssql://app:Open-sesame1@{}/app", listener.local_addr().unwrap());
    drop(listener);
    let error = MssqlStore::connect(&url).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::Connection, Operation::Connect));
}

#[test]
fn what_cannot_be_is_refused_before_any_io() {
    for wrong in [builder().table("a\0b"), builder().request_timeout(Duration::ZERO)] {
        assert_eq!(wrong.build(Config::new()).unwrap_err().kind(), Kind::Configuration);
    }
}

#[test]
fn debug_shows_no_secret() {
    let mut config = Config::new();
    config.authentication(AuthMethod::sql_server("app", "Open-sesame1"));
    assert_eq!(format!("{:?}", MssqlStore::new(config)), "MssqlStore { table: [dbo].[golock], .. }");
}
