//! TLS four ways. `refused_tls_is_told`, of the suite, is the fifth: TLS asked of a server that has none.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use golock_conformance::security::{Authority, Guarded, everything};
use golock_core::{StoreError, StoreErrorKind};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::options::{ClientOptions, Tls, TlsOptions};

use super::relay::Relay;
use super::server::{DATABASE, unique};

/// A store by an application's options, which trust `authority`, on a server that the server's own has signed for.
async fn over_tls(server: &Guarded, host: &str, authority: &Authority) -> Result<(), StoreError> {
    let certificate = server.authority().certificate("localhost");
    let relay = Relay::start(server.address(), &certificate).await.unwrap();
    let trusted = authority.file();
    let url = format!("mongodb://root:golock-test@{host}:{}/?directConnection=true", relay.port);
    let mut options = ClientOptions::parse(url).await.unwrap();
    options.tls = Some(Tls::Enabled(TlsOptions::builder().ca_file_path(trusted.path().to_owned()).build()));
    let builder = MongoStore::builder().database(DATABASE).collection(unique("over_tls"));
    let store = builder.request_timeout(Duration::from_secs(5)).build(options).await?;
    everything(&store).await
}

fn is_refused(refused: Result<(), StoreError>) {
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Tls, "{error:?}: {:?}", error.source());
}

pub(crate) async fn tls_of_a_trusted_authority_is_spoken(server: Arc<Guarded>) {
    over_tls(&server, "localhost", server.authority()).await.unwrap();
}

pub(crate) async fn tls_of_another_authority_is_refused(server: Arc<Guarded>) {
    is_refused(over_tls(&server, "localhost", &Authority::new()).await);
}

pub(crate) async fn tls_of_another_host_is_refused(server: Arc<Guarded>) {
    is_refused(over_tls(&server, "127.0.0.1", server.authority()).await);
}

/// A server of MongoDB's protocol that wants TLS hangs up, and says nothing: it can't be told from one that broke down.
pub(crate) async fn plaintext_that_the_server_refuses_is_told(server: Arc<Guarded>) {
    let certificate = server.authority().certificate("localhost");
    let relay = Relay::start(server.address(), &certificate).await.unwrap();
    let url = format!("mongodb://root:golock-test@localhost:{}/?directConnection=true", relay.port);
    let builder = MongoStore::builder().request_timeout(Duration::from_secs(1));
    let error = builder.connect(&url).await.map(drop).unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Connection | StoreErrorKind::Tls), "{error:?}");
}
