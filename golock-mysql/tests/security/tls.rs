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
    drop(admin(server).await);
    let trusted = vec![authority.pem().into_bytes().into()];
    let opts = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(server.port())
        .user(Some("root"))
        .pass(Some("golock-test"))
        .db_name(Some(super::DATABASE))
        .ssl_opts(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(trusted));
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

pub(crate) async fn plaintext_that_the_server_refuses_is_told(server: Arc<Guarded>) {
    let error = MysqlStore::connect(&url(&server).replace(ENCRYPTED, "")).await.expect_err("no TLS");
    assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
}
