//! TLS four ways. `refused_tls_is_told`, of the suite, is the fifth: TLS asked of a server that has none.

use std::error::Error;
use std::sync::Arc;

use golock_conformance::security::{Authority, Guarded, everything};
use golock_core::{StoreError, StoreErrorKind};
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::{OptsBuilder, SslOpts};

use super::{ENCRYPTED, admin, unique, url};

/// A store by an application's options, which trust this authority.
async fn store(server: &Guarded, host: &str, authority: &Authority) -> Result<MysqlStore, StoreError> {
    store_with(server, host, authority, SslOpts::default()).await
}

async fn store_with(
    server: &Guarded,
    host: &str,
    authority: &Authority,
    ssl: SslOpts,
) -> Result<MysqlStore, StoreError> {
    drop(admin(server).await);
    let trusted = vec![authority.pem().into_bytes().into()];
    let opts = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(server.port())
        .user(Some("root"))
        .pass(Some("golock-test"))
        .db_name(Some(super::DATABASE))
        .ssl_opts(ssl.with_disable_built_in_roots(true).with_root_certs(trusted));
    let store = MysqlStore::builder().table(unique("over_tls")).build(opts)?;
    store.ready().await?;
    Ok(store)
}

fn is_refused(refused: Result<MysqlStore, StoreError>) -> StoreError {
    let error = refused.expect_err("a certificate that proves nothing");
    assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
    error
}

/// The server takes no other sessions.
pub(crate) async fn tls_of_a_trusted_authority_is_spoken(server: Arc<Guarded>) {
    let store = store(&server, "localhost", server.authority()).await.unwrap();
    everything(&store).await.unwrap();
}

pub(crate) async fn tls_of_another_authority_is_refused(server: Arc<Guarded>) {
    is_refused(store(&server, "localhost", &Authority::new()).await);
    // By a URL, which trusts the authorities of the Web.
    let url = url(&server).replace(ENCRYPTED, "?require_ssl=true");
    is_refused(MysqlStore::connect(&url).await);
}

pub(crate) async fn tls_of_another_host_is_refused(server: Arc<Guarded>) {
    let error = is_refused(store(&server, "127.0.0.1", server.authority()).await);
    assert!(format!("{error:?}").contains("NotValidForName"), "{error:?}");
}

/// mysql_async looks for words that rustls does not use any more. Should it find them again, the README has to say so.
pub(crate) async fn a_host_is_verified_whatever_the_driver_is_told(server: Arc<Guarded>) {
    let unverified = SslOpts::default().with_danger_skip_domain_validation(true);
    is_refused(store_with(&server, "127.0.0.1", server.authority(), unverified).await);
    let called = SslOpts::default().with_danger_tls_hostname_override(Some("localhost"));
    store_with(&server, "127.0.0.1", server.authority(), called).await.unwrap();
}

pub(crate) async fn plaintext_that_the_server_refuses_is_told(server: Arc<Guarded>) {
    let error = MysqlStore::connect(&url(&server).replace(ENCRYPTED, "")).await.expect_err("no TLS");
    assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
}
