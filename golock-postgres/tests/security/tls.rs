//! TLS four ways. `refused_tls_is_told`, of the suite, is the fifth: TLS asked of a server that has none.

use std::error::Error;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use golock_conformance::security::{Authority, Guarded, everything};
use golock_core::{StoreError, StoreErrorKind};
use golock_postgres::PostgresStore;
use golock_postgres::deadpool_postgres::{Manager, Pool};
use tokio::runtime::Runtime;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{admin, unique, url_as};

/// A store over an application's pool, which trusts this authority.
fn store(server: &Guarded, host: &str, authority: &Authority) -> PostgresStore {
    let url = format!(
        "postgres://postgres:golock-test@{host}:{}/postgres?sslmode=require&application_name=over_tls",
        server.port()
    );
    let manager = Manager::new(url.parse().unwrap(), MakeRustlsConnect::new(authority.client()));
    let pool = Pool::builder(manager).max_size(1).build().unwrap();
    PostgresStore::builder().table(unique("over_tls")).build(pool).unwrap()
}

async fn refused(store: PostgresStore) -> StoreError {
    let error = store.ready().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
    error
}

pub(crate) async fn tls_of_a_trusted_authority_is_spoken(server: Arc<Guarded>) {
    let store = store(&server, "localhost", server.authority());
    everything(&store).await.unwrap();
    // Other tests try to log in without TLS meanwhile.
    let sql = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl)
               FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'over_tls'";
    let row = admin(&server).await.query_one(sql, &[]).await.unwrap();
    let (with, without): (i64, i64) = (row.get(0), row.get(1));
    assert!(with > 0 && without == 0, "{with} sessions with TLS, {without} without");
}

/// The URL for a process that this one starts, which has an environment of its own.
pub(crate) const CHILD: &str = "GOLOCK_SECURITY_CHILD";

#[allow(clippy::print_stdout, reason = "its parent reads it")]
pub(crate) fn connect_as_a_child(url: &str) -> ExitCode {
    match Runtime::new().unwrap().block_on(PostgresStore::connect(url)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}: {:?}", error.source());
            ExitCode::FAILURE
        }
    }
}

/// By a URL, which trusts whom this system trusts.
pub(crate) async fn tls_of_an_authority_named_by_the_environment_is_spoken(server: Arc<Guarded>) {
    let url = url_as(&server, "postgres", "golock-test") + "?sslmode=verify-full";
    let url = url.replace("127.0.0.1", "localhost");
    for (trusted, is_ours) in [(server.authority().file(), true), (Authority::new().file(), false)] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.env("SSL_CERT_FILE", trusted.path()).env_remove("SSL_CERT_DIR").env(CHILD, &url);
        let status = tokio::task::spawn_blocking(move || child.status()).await.unwrap().unwrap();
        assert_eq!(status.success(), is_ours);
    }
}

pub(crate) async fn tls_of_another_authority_is_refused(server: Arc<Guarded>) {
    refused(store(&server, "localhost", &Authority::new())).await;
    // By a URL, which trusts whom this system trusts.
    for mode in ["require", "verify-full"] {
        let url = url_as(&server, "postgres", "golock-test") + "?sslmode=" + mode;
        let error = PostgresStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
    }
}

pub(crate) async fn tls_of_another_host_is_refused(server: Arc<Guarded>) {
    let error = refused(store(&server, "127.0.0.1", server.authority())).await;
    assert!(format!("{error:?}").contains("NotValidForName"), "{error:?}");
}

/// PostgreSQL calls it a failure to log in, but says why.
pub(crate) async fn plaintext_that_the_server_refuses_is_told(server: Arc<Guarded>) {
    let url = url_as(&server, "postgres", "golock-test") + "?sslmode=disable";
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Authentication, "{:?}", error.source());
    assert!(format!("{:?}", error.source()).contains("no encryption"), "{:?}", error.source());
}
