//! TLS four ways. `refused_tls_is_told`, of the suite, is the fifth: TLS asked of a server that has none.

use std::error::Error;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use golock_conformance::security::{Authority, Guarded, everything};
use golock_core::{StoreError, StoreErrorKind};
use golock_redis::RedisStore;
use tokio::runtime::Runtime;

use super::client;

/// A store by an application's client, which trusts this authority.
async fn store(server: &Guarded, host: &str, authority: &Authority) -> Result<RedisStore, StoreError> {
    let store =
        RedisStore::builder().prefix("over tls:").build(&client(host, server.port(), authority, None))?;
    store.ready().await?;
    Ok(store)
}

fn is_refused(refused: Result<RedisStore, StoreError>, why: &str) {
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Tls, "{:?}", error.source());
    assert!(format!("{error:?}").contains(why), "{error:?}");
}

/// The server takes no other connections.
pub(crate) async fn tls_of_a_trusted_authority_is_spoken(server: Arc<Guarded>) {
    let store = store(&server, "localhost", server.authority()).await.unwrap();
    everything(&store).await.unwrap();
}

/// The URL for a process that this one starts, which has an environment of its own.
pub(crate) const CHILD: &str = "GOLOCK_SECURITY_CHILD";

#[allow(clippy::print_stdout, reason = "its parent reads it")]
pub(crate) fn connect_as_a_child(url: &str) -> ExitCode {
    match Runtime::new().unwrap().block_on(RedisStore::connect(url)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}: {:?}", error.source());
            ExitCode::FAILURE
        }
    }
}

/// By a URL, which trusts whom this system trusts.
pub(crate) async fn tls_of_an_authority_named_by_the_environment_is_spoken(server: Arc<Guarded>) {
    let url = server.url().replace("redis://127.0.0.1", "rediss://localhost");
    for (trusted, is_ours) in [(server.authority().file(), true), (Authority::new().file(), false)] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.env("SSL_CERT_FILE", trusted.path()).env_remove("SSL_CERT_DIR").env(CHILD, &url);
        let status = tokio::task::spawn_blocking(move || child.status()).await.unwrap().unwrap();
        assert_eq!(status.success(), is_ours);
    }
}

pub(crate) async fn tls_of_another_authority_is_refused(server: Arc<Guarded>) {
    is_refused(store(&server, "localhost", &Authority::new()).await, "InvalidCertificate");
    // By a URL, which trusts whom this system trusts.
    let url = server.url().replace("redis://", "rediss://");
    is_refused(RedisStore::connect(&url).await, "InvalidCertificate");
}

pub(crate) async fn tls_of_another_host_is_refused(server: Arc<Guarded>) {
    is_refused(store(&server, "127.0.0.1", server.authority()).await, "NotValidForName");
}

pub(crate) async fn plaintext_that_the_server_refuses_is_told(server: Arc<Guarded>) {
    is_refused(RedisStore::connect(server.url()).await, "speaks TLS only");
}
