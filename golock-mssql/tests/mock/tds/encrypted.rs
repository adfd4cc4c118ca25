//! TLS as TDS 7 has it: the handshake inside messages of the login, and what follows as it is.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

use super::wire;

/// Shakes hands. What the client sends then can be read from the stream, while the future is polled.
pub(crate) async fn accept(
    mut stream: TcpStream,
    mut config: Arc<ServerConfig>,
) -> io::Result<(DuplexStream, impl Future<Output = io::Result<()>>)> {
    // They would be sent when the handshake is over, and neither inside messages nor expected.
    Arc::make_mut(&mut config).send_tls13_tickets = 0;
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        let (_, message) = wire::read_message(&mut stream).await?;
        let mut message = &message[..];
        while !message.is_empty() {
            tls.read_tls(&mut message)?;
            let processed = tls.process_new_packets();
            let mut answer = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut answer)?;
            }
            if !answer.is_empty() {
                wire::write(&mut stream, wire::PRELOGIN, &answer).await?;
            }
            processed.map_err(io::Error::other)?;
        }
    }
    let (plain, ours) = tokio::io::duplex(64 * 1024);
    Ok((plain, pass(stream, tls, ours)))
}

async fn pass(mut stream: TcpStream, mut tls: ServerConnection, mut plain: DuplexStream) -> io::Result<()> {
    let (mut encrypted, mut clear) = ([0; 8 * 1024], [0; 8 * 1024]);
    loop {
        tokio::select! {
            read = stream.read(&mut encrypted) => match read? {
                0 => return Ok(()),
                length => {
                    let mut rest = &encrypted[..length];
                    while !rest.is_empty() {
                        tls.read_tls(&mut rest)?;
                        let read = tls.process_new_packets().map_err(io::Error::other)?;
                        let mut decrypted = vec![0; read.plaintext_bytes_to_read()];
                        tls.reader().read_exact(&mut decrypted)?;
                        plain.write_all(&decrypted).await?;
                    }
                }
            },
            read = plain.read(&mut clear) => match read? {
                0 => return Ok(()),
                length => tls.writer().write_all(&clear[..length])?,
            },
        }
        let mut answer = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut answer)?;
        }
        stream.write_all(&answer).await?;
    }
}
