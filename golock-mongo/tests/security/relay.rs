//! Speaks TLS in front of a server that does not.

use std::io;
use std::sync::Arc;

use golock_conformance::security::Certificate;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub(crate) struct Relay {
    pub(crate) port: u16,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start(server: String, certificate: &Certificate) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let acceptor = TlsAcceptor::from(Arc::new(certificate.server()));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass_on(client, acceptor.clone(), server.clone()));
            }
        });
        Ok(Self { port, accepting })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A client that does not speak TLS is hung up on, as a server does.
async fn pass_on(client: TcpStream, acceptor: TlsAcceptor, server: String) -> io::Result<()> {
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(server).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
