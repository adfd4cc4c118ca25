//! Security, as far as a scripted server shows it: TLS four ways, a password through every kind of failure, and names that
//! stand in statements only as names.

use std::error::Error;
use std::time::Duration;

use golock_conformance::security::{Authority, Secret, hostile};
use golock_core::{LockOptions, LockStore, Locker, StoreError, StoreErrorKind as Kind};
use golock_mssql::MssqlStore;

use crate::tds::{Reply, Scripted};
use crate::{builder, try_acquire};

/// What a client at `host`, which trusts `authority`, finds on a server that another has signed for, as `localhost`.
async fn over_tls(
    host: &str,
    signed_by: &Authority,
    trusted: &Authority,
) -> (Scripted, Result<(), StoreError>) {
    let server = Scripted::with_tls(signed_by.certificate("localhost").server()).await;
    let trusted = trusted.file();
    let (port, file) = (server.port(), trusted.path().display());
    let url = format!("mssql://app:Open-sesame1@{host}:{port}/app?trust_server_certificate_ca={file}");
    let outcome = MssqlStore::connect(&url).await.map(drop);
    (server, outcome)
}

fn is_refused(server: &Scripted, outcome: Result<(), StoreError>) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error:?}: {:?}", error.source());
    assert!(server.asked().is_empty(), "the password was sent");
}

#[tokio::test]
async fn tls_of_a_trusted_authority_is_spoken() {
    let authority = Authority::new();
    let (server, outcome) = over_tls("localhost", &authority, &authority).await;
    outcome.unwrap();
    assert_eq!(server.asked_to("login").len(), 1);
}

#[tokio::test]
async fn tls_of_another_authority_is_refused() {
    let (server, outcome) = over_tls("localhost", &Authority::new(), &Authority::new()).await;
    is_refused(&server, outcome);
}

#[tokio::test]
async fn tls_of_another_host_is_refused() {
    let authority = Authority::new();
    let (server, outcome) = over_tls("127.0.0.1", &authority, &authority).await;
    is_refused(&server, outcome);
}

#[tokio::test]
async fn plaintext_that_the_server_refuses_is_told() {
    let server = Scripted::with_tls(Authority::new().certificate("localhost").server()).await;
    let url = format!("mssql://app:Open-sesame1@localhost:{}/app?encrypt=danger_plaintext", server.port());
    is_refused(&server, MssqlStore::connect(&url).await.map(drop));
}

#[tokio::test]
async fn passwords_are_shown_nowhere() {
    let secret = Secret::new("Kx7vMarkerOfMssql");
    let password = secret.reveal();
    let at = |address: &str| format!("mssql://app:{password}@{address}/app");
    let plain = |server: &Scripted| at(&format!("127.0.0.1:{}", server.port())) + "?encrypt=danger_plaintext";
    let failing = |what: &'static str, reply: Reply| {
        Scripted::start(move |asked| (asked.what() == what).then(|| reply.clone()))
    };
    let wrong_password = failing("login", Reply::Error { number: 18456, class: 14 }).await;
    let without_tls = Scripted::usual().await;
    for (what, url) in [
        ("a wrong password", plain(&wrong_password)),
        ("nobody there", at("127.0.0.1:1")),
        ("no TLS", at(&format!("127.0.0.1:{}", without_tls.port()))),
        ("a wrong port", at("localhost:port")),
        ("an unknown option", at("localhost") + "?" + password + "=1"),
        ("a wrong value", at("localhost") + "?encrypt=" + password),
        ("another scheme", at("localhost").replace("mssql:", "mysql:")),
        ("an ADO string", format!("server=tcp:localhost,port;user=app;password={password}")),
        ("nothing but it", password.to_owned()),
    ] {
        secret.is_not_in_error(what, &MssqlStore::connect(&url).await.map(drop).unwrap_err());
    }
    for (what, reply, kind) in [
        ("no table", Reply::Error { number: 208, class: 16 }, Kind::SchemaMissing),
        ("no permission", Reply::Error { number: 229, class: 14 }, Kind::Permission),
        ("a timeout", Reply::Silence, Kind::Timeout),
        ("a killed connection", Reply::Close, Kind::Connection),
    ] {
        let server = failing("acquire", reply).await;
        let builder = builder().request_timeout(Duration::from_secs(1));
        secret.is_not_in("the builder", &builder);
        let store = builder.connect(&plain(&server)).await.unwrap();
        let error = try_acquire(&store).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{what}");
        secret.is_not_in("the store", &store);
        secret.is_not_in_error(what, &error);
        let locker = Locker::new(store);
        secret.is_not_in("a locker", &locker);
        secret.is_not_in_error(what, &locker.try_lock(LockOptions::new("job")).await.unwrap_err());
        locker.shutdown(Duration::ZERO).await;
        let error = locker.try_lock(LockOptions::new("job")).await.unwrap_err();
        secret.is_not_in_error("a closed locker", &error);
    }
    secret.is_not_in_the_logs();
}

/// All that is sent is the same as for a table of a plain name, but for that name in its brackets.
#[tokio::test]
async fn identifiers_stand_in_statements_only_as_names() {
    let said = async |schema: &str, table: &str| {
        let server = Scripted::usual().await;
        let store = builder().schema(schema).table(table).build(server.config()).ok()?;
        try_acquire(&store).await.unwrap();
        store.renew(&[crate::renew("job")]).await.unwrap();
        store.release(&[crate::release("job")]).await.unwrap();
        store.purge(Duration::ZERO).await.unwrap();
        Some(
            server.asked().into_iter().map(|asked| asked.sql).collect::<Vec<_>>().join("\n")
                + &store.schema(),
        )
    };
    let plain = said("dbo", "locks").await.unwrap();
    let (mut work, mut refused) = (0, 0);
    for name in hostile() {
        let Some(sql) = said("dbo", &name).await else {
            refused += 1;
            continue;
        };
        work += 1;
        let quoted = format!("[dbo].[{}]", name.replace(']', "]]"));
        assert_eq!(sql.replace(&quoted, "[dbo].[locks]"), plain, "{name:?}");
    }
    assert!(work > 50 && refused > 0, "{work} work, {refused} are refused");
}
