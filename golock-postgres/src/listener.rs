//! One connection that listens for freed names.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream;
use golock_core::LockName;
use golock_core::store::{Operation, StoreError, StoreErrorKind, Wakeup, Wakeups};
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{failure, not_opened};
use crate::table::{Table, quoted};
use crate::url::{Driver, connect};

/// How listening connections are opened. A pool's manager can't: it drives its connections itself, and drops what they
/// are notified of.
#[derive(Clone)]
pub(crate) struct Listener {
    config: Config,
    tls: MakeRustlsConnect,
    channel: String,
    within: Duration,
}

impl Listener {
    pub(crate) fn new(config: Config, tls: MakeRustlsConnect, table: &Table, within: Duration) -> Self {
        Self { config, tls, channel: table.channel().to_owned(), within }
    }

    /// Connects, says [`Wakeup::Listening`] once the server has confirmed it, then each name that is freed. Ends when
    /// the connection does, or can't be opened.
    pub(crate) fn listen(&self) -> Wakeups {
        Box::pin(stream::unfold(State::Closed(self.clone()), |state| async {
            match state {
                State::Closed(listener) => match listener.open().await {
                    Ok(open) => Some((Wakeup::Listening, State::Open(open))),
                    Err(error) => {
                        tracing::debug!(%error, "no connection to listen on");
                        None
                    }
                },
                State::Open(mut open) => {
                    open.freed().await.map(|name| (Wakeup::Freed(name), State::Open(open)))
                }
            }
        }))
    }

    async fn open(self) -> Result<Open, StoreError> {
        let opening = async {
            let (client, mut driver) = connect(&self.config, &self.tls).await.map_err(not_opened)?;
            let sql = format!("LISTEN {}", quoted(&self.channel));
            {
                let mut listening = pin!(client.batch_execute(&sql));
                poll_fn(|cx| {
                    if let Poll::Ready(confirmed) = listening.as_mut().poll(cx) {
                        return Poll::Ready(confirmed.map_err(not_opened));
                    }
                    // Sends it, and takes the answer in, which wakes this again.
                    loop {
                        match driver.poll_message(cx) {
                            Poll::Ready(Some(Ok(_))) => {}
                            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(not_opened(error))),
                            Poll::Ready(None) => return Poll::Ready(Err(closed())),
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                })
                .await?;
            }
            Ok(Open { _client: client, driver, channel: self.channel })
        };
        tokio::time::timeout(self.within, opening).await.unwrap_or_else(|_| {
            let why = "no connection within the request timeout";
            Err(failure(Operation::Connect, StoreErrorKind::Timeout, why))
        })
    }
}

fn closed() -> StoreError {
    failure(Operation::Connect, StoreErrorKind::Connection, "the server closed the connection")
}

#[allow(clippy::large_enum_variant, reason = "a process has one, and it moves once a wake-up")]
enum State {
    Closed(Listener),
    Open(Open),
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
    let byte = |digits: &[u8]| match digits {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = payload.as_bytes().chunks(2).map(byte).collect();
    LockName::read(&bytes?)
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::from_hex;

    #[test]
    fn names_are_read_from_hex() {
        assert_eq!(from_hex("6ac3b362").unwrap().as_str(), "jób");
        for payload in ["", "6", "6x", "ff", "00", "reload"] {
            assert_eq!(from_hex(payload), None, "{payload:?}");
        }
    }
}
