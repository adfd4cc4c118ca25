//! Listening for names that are freed: one connection, which ends when it is lost. Whoever listens then asks again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fred::error::Error as DriverError;
use fred::interfaces::EventInterface;
use fred::types::{Message, Value};
use golock_core::LockName;
use golock_core::backend::listening;
use golock_core::store::{Operation, StoreError, Wakeup, Wakeups};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use crate::error::call_failed;
use crate::keys::Prefix;
use crate::link::Link;
use crate::servers::Servers;

/// How long a server may say nothing before it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);

/// A stream that begins when the server has confirmed that it listens, and ends with its connection.
pub(crate) fn wakeups(servers: Arc<Servers>, prefix: Prefix) -> Wakeups {
    let open = async move { Listener::open(&servers, &prefix).await };
    listening(open, |mut listener: Listener| async move { Some((listener.next().await?, listener)) })
}

struct Listener {
    link: Link,
    in_cluster: bool,
    messages: Receiver<Message>,
}

impl Listener {
    async fn open(servers: &Servers, prefix: &Prefix) -> Result<Self, StoreError> {
        // Of a Cluster each node tells of what is freed on any.
        let link = servers.connect(None).await?;
        let messages = link.client().message_rx();
        subscribe(&link, &prefix.channel()).await.map_err(|error| call_failed(Operation::Connect, error))?;
        Ok(Self { link, in_cluster: servers.cluster().is_some(), messages })
    }

    /// `None` when the connection has ended, or the server says nothing.
    async fn next(&mut self) -> Option<Wakeup> {
        let message = loop {
            match timeout(SILENCE, self.link.unless_over(self.messages.recv())).await {
                Ok(message) => break message?,
                // One that is frozen keeps its connections, and the other nodes of a Cluster go on without it.
                Err(_) if self.hears().await => {}
                Err(_) => return None,
            }
        };
        match message {
            Ok(message) => {
                let name = message.value.as_bytes().and_then(LockName::read);
                // Somebody else's message: look again, as after one that was missed.
                Some(name.map_or(Wakeup::Listening, Wakeup::Freed))
            }
            Err(RecvError::Lagged(_)) => Some(Wakeup::Listening),
            Err(RecvError::Closed) => None,
        }
    }

    /// Whether the server is there, and, if it is a node, in a Cluster: one that was taken out of it answers, and is told of nothing.
    ///
    /// It is asked twice, for to fred the first answer is that to what `subscribe` asked last.
    async fn hears(&self) -> bool {
        let ask = || match self.in_cluster {
            true => self.link.ask("CLUSTER", &["SLOTS"]),
            false => self.link.ask("PING", &[]),
        };
        let answer = tokio::select! { answer = ask() => answer, answer = ask() => answer };
        answer.is_ok_and(|answer| !matches!(answer, Value::Array(slots) if slots.is_empty()))
    }
}

/// Ready when the server listens, or has refused to.
///
/// The server's word for it is a push, which fred keeps to itself. So it is asked something else besides, whose answer fred takes for
/// that to the first: unless that was refused, which is an answer, and came before.
async fn subscribe(link: &Link, channel: &str) -> Result<Value, DriverError> {
    let channels = [channel];
    let mut listening = pin!(link.ask("SUBSCRIBE", &channels));
    tokio::select! {
        biased;
        answer = &mut listening => answer,
        _ = link.ask("PING", &[]) => listening.await,
    }
}
