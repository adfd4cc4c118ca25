//! TLS by rustls, with the system's certificate authorities, and with a provider of its own: the process-wide one is the
//! application's affair.

use std::sync::Arc;
use std::time::Duration;

use fred::types::config::{Server, TlsConfig, TlsConnector};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::failure;

/// The server's certificate has to be valid, and its own.
pub(crate) fn config() -> Result<TlsConfig, StoreError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failure(Operation::Connect, StoreErrorKind::Tls, error))?
        .with_root_certificates(system_roots()?)
        .with_no_client_auth();
    Ok(TlsConnector::from(config).into())
}

/// Whether one of the servers answers without TLS. To a client that begins with TLS it says nothing at all: it waits for
/// the end of a line.
pub(crate) async fn is_not_spoken_by(servers: &[Server], within: Duration) -> bool {
    let speaks_plainly = async |server: &Server| -> std::io::Result<bool> {
        let mut connection = TcpStream::connect((&*server.host, server.port)).await?;
        connection.write_all(b"PING\r\n").await?;
        // +PONG, or -NOAUTH.
        Ok(matches!(connection.read_u8().await?, b'+' | b'-'))
    };
    let any = async {
        for server in servers {
            if speaks_plainly(server).await.unwrap_or(false) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(within, any).await.unwrap_or(false)
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
