//! TLS by rustls, with the system's certificate authorities, and with a provider of its own: the process-wide one is the
//! application's affair.

use std::sync::Arc;
use std::time::Duration;

use fred::types::config::{Server, TlsConfig, TlsConnector};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, WantsVerifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::failure;

/// The server's certificate has to be valid, and its own.
pub(crate) fn config() -> Result<TlsConfig, StoreError> {
    let config = builder()?.with_root_certificates(system_roots()?).with_no_client_auth();
    Ok(TlsConnector::from(config).into())
}

/// Whether one of the servers answers without TLS. To a client that begins with TLS it says nothing at all: it waits for
/// the end of a line.
pub(crate) async fn is_missing(servers: &[Server], within: Duration) -> bool {
    // +PONG, or -NOAUTH.
    any_answers(servers, b"PING\r\n", b"+-", within).await
}

/// Whether one of the servers answers with TLS. Without it, it ends the connection and does not say why.
pub(crate) async fn is_wanted(servers: &[Server], within: Duration) -> bool {
    const ALERT: u8 = 0x15;
    const HANDSHAKE: u8 = 0x16;
    match greeting() {
        Some(greeting) => any_answers(servers, &greeting, &[ALERT, HANDSHAKE], within).await,
        None => false,
    }
}

/// Whether what one of the servers answers to `greeting` begins with one of these bytes.
async fn any_answers(servers: &[Server], greeting: &[u8], with: &[u8], within: Duration) -> bool {
    let answers = async |server: &Server| -> std::io::Result<bool> {
        let mut connection = TcpStream::connect((&*server.host, server.port)).await?;
        connection.write_all(greeting).await?;
        Ok(with.contains(&connection.read_u8().await?))
    };
    let any = async {
        for server in servers {
            if answers(server).await.unwrap_or(false) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(within, any).await.unwrap_or(false)
}

/// What a client says first.
fn greeting() -> Option<Vec<u8>> {
    let config = builder().ok()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from("localhost").ok()?;
    let mut greeting = Vec::new();
    ClientConnection::new(Arc::new(config), name).ok()?.write_tls(&mut greeting).ok()?;
    Some(greeting)
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, StoreError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failure(Operation::Connect, StoreErrorKind::Tls, error))
}

fn system_roots() -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let why = found.errors.into_iter().next().map_or_else(
        || "rediss://, but this system trusts no certificate authority".into(),
        |error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>,
    );
    Err(failure(Operation::Connect, StoreErrorKind::Tls, why))
}
