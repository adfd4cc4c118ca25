//! One connection that listens for freed names.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use golock_core::LockName;
use golock_core::backend::{Table, connected_within, listening};
use golock_core::store::{Operation, StoreError, StoreErrorKind, Wakeup, Wakeups};
use tokio_postgres::{AsyncMessage, Client};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{BACKEND, failure, not_opened};
use crate::url::{Driver, Server, connect};

/// How listening connections are opened. A pool's manager can't: it drives its connections itself, and drops what they
/// are notified of.
#[derive(Clone)]
pub(crate) struct Listener {
    server: Server,
    tls: MakeRustlsConnect,
    table: Table,
    within: Duration,
}

impl Listener {
    pub(crate) fn new(server: Server, tls: MakeRustlsConnect, table: Table, within: Duration) -> Self {
        Self { server, tls, table, within }
    }

    /// Connects, says [`Wakeup::Listening`] once the server has confirmed it, then each name that is freed. Ends when
    /// the connection does, or can't be opened.
    pub(crate) fn listen(&self) -> Wakeups {
        listening(self.clone().open(), |mut open: Open| async move {
            let name = open.freed().await?;
            Some((Wakeup::Freed(name), open))
        })
    }

    async fn open(self) -> Result<Open, StoreError> {
        let opening = async {
            let (client, mut driver) = connect(&self.server, &self.tls).await.map_err(not_opened)?;
            // The channel is called as the table is. Tables of the same name in two schemas share it: their listeners are woken in
            // vain, no more.
            let channel = self.table.name();
            let sql = format!("LISTEN {}", self.table.quoted(channel));
            {
                let mut listening = pin!(client.batch_execute(&sql));
                loop {
                    tokio::select! {
                        biased;
                        confirmed = &mut listening => break confirmed.map_err(not_opened)?,
                        // Sends it, and takes the answer in.
                        message = poll_fn(|cx| driver.poll_message(cx)) => {
                            message.ok_or_else(closed)?.map_err(not_opened)?;
                        }
                    }
                }
            }
            Ok(Open { _client: client, driver, channel: channel.to_owned() })
        };
        connected_within(self.within, BACKEND, "no connection within the request timeout", opening).await
    }
}

fn closed() -> StoreError {
    failure(Operation::Connect, StoreErrorKind::Connection, "the server closed the connection")
}

struct Open {
    /// The connection lives as long as this does.
    _client: Client,
    driver: Driver,
    channel: String,
}

impl Open {
    /// The next name; `None`: the connection has ended.
    async fn freed(&mut self) -> Option<LockName> {
        loop {
            match poll_fn(|cx| self.driver.poll_message(cx)).await? {
                Ok(AsyncMessage::Notification(note)) if note.channel() == self.channel => {
                    // Others may notify on the channel too.
                    if let Some(name) = from_hex(note.payload()) {
                        return Some(name);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "the listening connection ended");
                    return None;
                }
            }
        }
    }
}

/// The name whose bytes a notification has in hex: as text it could not be sent from every database's encoding.
fn from_hex(payload: &str) -> Option<LockName> {
    let byte = |at| {
        // It may be somebody else's, with a sign in front.
        let digits = payload.get(at..at + 2).filter(|digits| !digits.starts_with('+'))?;
        u8::from_str_radix(digits, 16).ok()
    };
    let bytes: Option<Vec<u8>> = (0..payload.len()).step_by(2).map(byte).collect();
    LockName::read(&bytes?)
}

#[cfg(test)]
mod tests {
    use super::from_hex;

    #[test]
    fn names_are_read_from_hex() {
        assert_eq!(from_hex("6ac3b362").unwrap().as_str(), "jób");
        for payload in ["", "6", "6x", "ff", "00", "reload", "+a"] {
            assert_eq!(from_hex(payload), None, "{payload:?}");
        }
    }
}
