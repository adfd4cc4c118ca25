//! One connection, with one life: it is opened, used and closed, and never opened again.
//!
//! fred would reconnect by itself. It is told not to, for what it does around that is wrong for locks:
//!
//! * it sends again what was not answered: an INCR was executed twice;
//! * what is asked of it meanwhile waits in its queue, and is sent when it is connected again, also if whoever asked has
//!   dropped the future long ago (`fail_fast` doesn't help: until the first try to reconnect has failed the client takes
//!   itself to be connected);
//! * why it can't connect (a password that was changed, TLS) is not told to those who ask.
//!
//! Two more of its ways matter here. `with_options` is ignored by `eval` and `evalsha` (fred.rs #353), so attempts and
//! timeouts are set for the whole client. And neither dropping a client nor the end of its connection ends everything:
//! the connection of a dropped client stays open, and what is asked of one that has ended is never answered. So the task
//! that drives it is watched, and aborted at the end.

use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, ClusterInterface};
use fred::types::RespVersion;
use fred::types::config::{
    Blocking, Config, ConnectionConfig, Options, PerformanceConfig, Server, TcpConfig, UnresponsiveConfig,
};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use socket2::TcpKeepalive;
use tokio::task::AbortHandle;

use crate::error::{failure, open_failed};
use crate::tls;

/// How soon a connection over which nothing comes is looked after.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How many messages may wait for the listener before it is told that it missed some.
const MESSAGES: usize = 1_024;

/// How connections are opened. It contains the password.
pub(crate) struct Setup {
    config: Config,
    connection: ConnectionConfig,
}

impl Setup {
    /// As `client` opens its connections, except for what must not be its own affair.
    pub(crate) fn of(client: &impl ClientLike) -> Self {
        Self::new(client.client_config(), client.connection_config().clone())
    }

    pub(crate) fn new(config: Config, connection: ConnectionConfig) -> Self {
        let config =
            Config { fail_fast: true, blocking: Blocking::Block, version: RespVersion::RESP3, ..config };
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 10);
        let tcp = TcpConfig {
            nodelay: Some(true),
            keepalive: connection.tcp.keepalive.clone().or(Some(keepalive)),
            ..connection.tcp
        };
        let attempts = if config.server.is_clustered() {
            // A redirection counts as one.
            connection.max_redirections.saturating_add(1)
        } else {
            1
        };
        let connection = ConnectionConfig {
            max_command_attempts: attempts,
            max_command_buffer_len: 0,
            reconnect_on_auth_error: false,
            unresponsive: UnresponsiveConfig::default(),
            tcp,
            ..connection
        };
        Self { config, connection }
    }

    /// An answer takes at most `within`; to connect, and to log in, half of that each.
    pub(crate) fn answering_within(mut self, within: Duration) -> Self {
        self.connection.connection_timeout = within / 2;
        self.connection.internal_command_timeout = within / 2;
        self
    }

    /// How long connecting may take.
    pub(crate) fn within(&self) -> Duration {
        self.connection.connection_timeout
    }

    /// The servers (of Sentinel: the sentinels), without the password.
    pub(crate) fn hosts(&self) -> Vec<Server> {
        self.config.server.hosts()
    }

    pub(crate) fn uses_tls(&self) -> bool {
        self.config.uses_tls()
    }

    pub(crate) fn is_clustered(&self) -> bool {
        self.config.server.is_clustered()
    }

    fn client(&self) -> Client {
        let answer_within = self.connection.connection_timeout * 2;
        let performance = PerformanceConfig {
            default_command_timeout: answer_within,
            broadcast_channel_capacity: MESSAGES,
            ..PerformanceConfig::default()
        };
        // No policy to reconnect.
        Client::new(self.config.clone(), Some(performance), Some(self.connection.clone()), None)
    }
}

/// An open connection (to a Cluster: one to each node).
pub(crate) struct Link {
    client: Client,
    task: AbortHandle,
    /// Ready when it has ended, with why if that is known.
    ended: Shared<BoxFuture<'static, Option<Error>>>,
}

impl Link {
    /// Connects, and logs in.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn open(setup: &Setup) -> Result<Self, StoreError> {
        let client = setup.client();
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
        let Err(error) = outcome else { return Ok(link) };
        if setup.uses_tls()
            && *error.kind() == ErrorKind::Timeout
            && tls::is_missing(&setup.hosts(), setup.within()).await
        {
            let why = "the server answers without TLS, and not to TLS";
            return Err(failure(Operation::Connect, StoreErrorKind::Tls, why));
        }
        Err(open_failed(error, setup.uses_tls()))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The client, for each server that holds keys: one, but for a Cluster.
    pub(crate) fn primaries(&self) -> Vec<WithOptions<Client>> {
        let nodes: Vec<Option<Server>> = match self.client.cached_cluster_state() {
            Some(state) => state.unique_primary_nodes().into_iter().map(Some).collect(),
            None => vec![None],
        };
        let at = |cluster_node| self.client.with_options(&Options { cluster_node, ..Options::default() });
        nodes.into_iter().map(at).collect()
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
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}
