//! Listening for names that are freed: one connection, which ends when it is lost. Whoever listens then asks again.

use std::sync::Arc;

use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::{Message, Value};
use golock_core::LockName;
use golock_core::backend::listening;
use golock_core::store::{Operation, StoreError, Wakeup, Wakeups};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::error::call_failed;
use crate::keys::Prefix;
use crate::link::{Link, Setup};

/// A stream that begins when the server has confirmed that it listens, and ends with its connection.
pub(crate) fn wakeups(setup: Arc<Setup>, prefix: Prefix) -> Wakeups {
    let open = async move { Listener::open(&setup, &prefix).await };
    listening(open, |mut listener: Listener| async move { Some((listener.next().await?, listener)) })
}

struct Listener {
    link: Link,
    messages: Receiver<Message>,
}

impl Listener {
    async fn open(setup: &Setup, prefix: &Prefix) -> Result<Self, StoreError> {
        let link = Link::open(setup).await?;
        let client = link.client().clone();
        let messages = client.message_rx();
        let listen = async {
            // fred does not wait for the answer to this, but the server answers in order: when it has answered the
            // second, it has executed the first (whose error, if it has one, fred takes for the answer to the second).
            client.subscribe(prefix.channel()).await?;
            client.ping::<Value>(None).await
        };
        let outcome = link.unless_over(listen).await;
        let outcome = outcome.unwrap_or_else(|| Err(fred::error::Error::new_canceled()));
        outcome.map_err(|error| call_failed(Operation::Connect, error))?;
        Ok(Self { link, messages })
    }

    /// `None` when the connection has ended.
    async fn next(&mut self) -> Option<Wakeup> {
        match self.link.unless_over(self.messages.recv()).await? {
            Ok(message) => {
                let name = message.value.as_bytes().and_then(LockName::read);
                // Somebody else's message: look again, as after one that was missed.
                Some(name.map_or(Wakeup::Listening, Wakeup::Freed))
            }
            Err(RecvError::Lagged(_)) => Some(Wakeup::Listening),
            Err(RecvError::Closed) => None,
        }
    }
}
