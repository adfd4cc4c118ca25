//! One connection to one server, with one life: it is opened, used and closed, and never opened again.
//!
//! fred would reconnect by itself. It is told not to, for what it does around that is wrong for locks:
//!
//! * it sends again what was not answered: an INCR was executed twice;
//! * what is asked of it meanwhile waits in its queue, and is sent when it is connected again, also if whoever asked has
//!   dropped the future long ago (`fail_fast` doesn't help: until the first try to reconnect has failed the client takes
//!   itself to be connected);
//! * why it can't connect (a password that was changed, TLS) is not told to those who ask.
//!
//! It would find its way in a Cluster, and to the primary that a sentinel names. It is not asked to:
//!
//! * when a slot moves it sends ASKING, and takes whatever comes next on that connection for the answer: another call's,
//!   after which each call has the answer to the one before it. A caller was told that it has what another holds;
//! * the end of the connection to one node is the end of those to all;
//! * a sentinel, or node, that says nothing is asked first each time, and keeps it from all others;
//! * what a sentinel refuses (a password, a name that it does not know) is told as if nobody were there.
//!
//! So who is connected to is golock's own affair: `crate::servers`, `crate::cluster`.
//!
//! Two more of its ways matter here. `with_options` is ignored by `eval` and `evalsha` (fred.rs #353), so attempts and
//! timeouts are set for the whole client. And neither dropping a client nor the end of its connection ends everything:
//! the connection of a dropped client stays open, and what is asked of one that has ended is never answered. So the task
//! that drives it is watched, and aborted at the end.

use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::Config;
use fred::types::{ClusterHash, CustomCommand, Value};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use tokio::task::AbortHandle;

use crate::error::{failure, is_answer, open_failed};
use crate::setup::Setup;
use crate::tls;

/// An open connection.
pub(crate) struct Link {
    client: Client,
    task: AbortHandle,
    /// Ready when it has ended, with why if that is known.
    ended: Shared<BoxFuture<'static, Option<Error>>>,
}

impl Link {
    /// Connects to the one server of `config`, and logs in.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn open(setup: &Setup, config: Config, patience: Duration) -> Result<Self, StoreError> {
        let (servers, uses_tls) = (config.server.hosts(), config.uses_tls());
        let error = match Self::connected(setup.client(config, patience)).await {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        if uses_tls && *error.kind() == ErrorKind::Timeout && tls::is_missing(&servers, patience / 2).await {
            let why = "the server answers without TLS, and not to TLS";
            return Err(failure(Operation::Connect, StoreErrorKind::Tls, why));
        }
        let error = open_failed(error, uses_tls);
        if !uses_tls
            && error.kind() == StoreErrorKind::Connection
            && tls::is_wanted(&servers, patience / 2).await
        {
            let why = "the server speaks TLS only: rediss://";
            return Err(failure(Operation::Connect, StoreErrorKind::Tls, why));
        }
        Err(error)
    }

    async fn connected(client: Client) -> Result<Self, Error> {
        let mut connected = Box::pin(client.wait_for_connect());
        // It has to be listening before the connection is begun, or it might miss the news.
        let _ = connected.as_mut().now_or_never();
        let task = client.connect();
        let abort = task.abort_handle();
        let mut ended = task.map(|ended| ended.ok().and_then(Result::err)).boxed().shared();
        let link = Self { client: client.clone(), task: abort, ended: ended.clone() };
        let outcome = tokio::select! {
            biased;
            outcome = connected => outcome,
            error = &mut ended => Err(error.unwrap_or_else(Error::new_canceled)),
        };
        outcome?;
        // To fred a server that ends the connection, as one that speaks TLS only does, has answered its greeting.
        match link.ask("PING", &[]).await {
            Err(error) if !is_answer(&error) => Err(error),
            _ => Ok(link),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// It has ended: what is asked of it now is never answered.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// The outcome of `call` on this connection. `None`: the connection ended before.
    pub(crate) async fn unless_over<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            outcome = call => Some(outcome),
            _ = self.ended.clone() => None,
        }
    }

    /// What the server answers to a command.
    pub(crate) async fn ask(&self, command: &'static str, arguments: &[&str]) -> Result<Value, Error> {
        let command = CustomCommand::new_static(command, ClusterHash::Random, false);
        let arguments: Vec<Value> = arguments.iter().map(|&argument| argument.into()).collect();
        let answer = self.unless_over(self.client.custom(command, arguments)).await;
        answer.unwrap_or_else(|| Err(ended()))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn ended() -> Error {
    Error::new(ErrorKind::IO, "the connection ended before an answer came")
}
