//! TLS, and why a connection fails that has too much or too little of it.

use std::sync::Arc;
use std::time::Duration;

use fred::types::config::{Server, TlsConfig, TlsConnector};
use golock_core::StoreError;
use golock_core::backend::tls::Tls;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::BACKEND;

/// The server's certificate has to be valid, and its own.
pub(crate) fn config() -> Result<TlsConfig, StoreError> {
    let tls = Tls::of(BACKEND);
    let roots = tls.system_roots("rediss://")?;
    let config = tls.builder()?.with_root_certificates(roots).with_no_client_auth();
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
    let config =
        Tls::of(BACKEND).builder().ok()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from("localhost").ok()?;
    let mut greeting = Vec::new();
    ClientConnection::new(Arc::new(config), name).ok()?.write_tls(&mut greeting).ok()?;
    Some(greeting)
}
