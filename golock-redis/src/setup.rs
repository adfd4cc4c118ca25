//! How connections are opened, and to which server, where several are named.

use std::error::Error;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::RespVersion;
use fred::types::config::{
    Blocking, Config, ConnectionConfig, PerformanceConfig, Server, ServerConfig, TcpConfig, TlsConfig,
    TlsHostMapping, UnresponsiveConfig,
};
use golock_core::StoreError;
use golock_core::backend::connected_within;
use golock_core::store::{Operation, StoreErrorKind};
use socket2::TcpKeepalive;

use crate::error::{BACKEND, failure};

/// How soon a connection over which nothing comes is looked after.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How many messages may wait for the listener before it is told that it missed some.
const MESSAGES: usize = 1_024;

/// How many servers that say nothing there is time for. Those that refuse cost none.
const SILENT: usize = 3;

/// How connections are opened. It contains the password.
pub(crate) struct Setup {
    config: Config,
    connection: ConnectionConfig,
    within: Duration,
    /// Which of several servers is asked first: the one after that which was asked last, unless that one answered.
    first: AtomicUsize,
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
        let connection = ConnectionConfig {
            max_command_attempts: 1,
            max_redirections: 0,
            max_command_buffer_len: 0,
            reconnect_on_auth_error: false,
            unresponsive: UnresponsiveConfig::default(),
            tcp,
            ..connection
        };
        Self { within: connection.connection_timeout, config, connection, first: AtomicUsize::new(0) }
    }

    /// An answer takes at most `within`; to connect, and to log in, half of that each.
    pub(crate) fn answering_within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    pub(crate) fn within(&self) -> Duration {
        self.within
    }

    /// The servers that are named (of Sentinel: the sentinels), without the password.
    pub(crate) fn hosts(&self) -> Vec<Server> {
        self.config.server.hosts()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration of connections to this server alone.
    pub(crate) fn at(&self, server: &Server) -> Config {
        Config {
            server: ServerConfig::Centralized { server: server.clone() },
            // A Cluster has one.
            database: self.config.database.filter(|_| !self.config.server.is_clustered()),
            ..self.config.clone()
        }
    }

    /// That of connections to this sentinel, which has users of its own.
    pub(crate) fn at_sentinel(
        &self,
        sentinel: &Server,
        (username, password): (Option<&String>, Option<&String>),
    ) -> Config {
        // As fred talks to them.
        let (database, version) = (None, RespVersion::RESP2);
        let (username, password) = (username.cloned(), password.cloned());
        Config { username, password, database, version, ..self.at(sentinel) }
    }

    /// By what name a node's certificate is its own, where that is not its address and the application's configuration says so.
    pub(crate) fn name_for_tls(&self, node: &mut Server, told_by: &Server) {
        let Some(TlsConfig { hostnames, .. }) = &self.config.tls else { return };
        let Ok(address) = node.host.parse::<IpAddr>() else { return };
        let name = match hostnames {
            TlsHostMapping::None => None,
            TlsHostMapping::DefaultHost => {
                Some(told_by.tls_server_name.clone().unwrap_or(told_by.host.clone()))
            }
            TlsHostMapping::Custom(mapping) => mapping.map(&address, &told_by.host).map(Into::into),
        };
        node.tls_server_name = name.or(node.tls_server_name.take());
    }

    /// A client, not connected, that connects and logs in within `patience`, and never again.
    pub(crate) fn client(&self, config: Config, patience: Duration) -> Client {
        let performance = PerformanceConfig {
            default_command_timeout: self.within,
            broadcast_channel_capacity: MESSAGES,
            ..PerformanceConfig::default()
        };
        let connection = ConnectionConfig {
            connection_timeout: patience / 2,
            internal_command_timeout: patience / 2,
            ..self.connection.clone()
        };
        // No policy to reconnect.
        Client::new(config, Some(performance), Some(connection), None)
    }

    /// Whoever asks next begins with another server.
    pub(crate) fn begin_with_another(&self) {
        self.first.fetch_add(1, Ordering::Relaxed);
    }

    /// What comes of asking the servers one after the other until one knows. One that is frozen or unreachable, and says nothing, takes
    /// a part of the time that connecting may take: and whoever asks next, also because this future was dropped, begins with
    /// another.
    ///
    /// # Errors
    /// What one of them failed with. That is final only if it is with all of them: as long as one may be well later, so may this.
    pub(crate) async fn any_of<T, Answer>(
        &self,
        servers: &[Server],
        ask: impl Fn(Server, Duration) -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        let patience = self.within / u32::try_from(servers.len().clamp(1, SILENT)).unwrap_or(1);
        let (begun, first) = (Instant::now(), self.first.load(Ordering::Relaxed));
        let (mut passing, mut lasting, mut asked) = (None, None, 0);
        for turn in (first..first + servers.len()).take_while(|_| begun.elapsed() < self.within) {
            self.first.store(turn + 1, Ordering::Relaxed);
            asked += 1;
            let answer = ask(servers[turn % servers.len()].clone(), patience);
            match connected_within(patience, BACKEND, "it says nothing", answer).await {
                Ok(answer) => {
                    self.first.store(turn, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) if error.is_transient() => passing = Some(error),
                Err(error) => lasting = Some(error),
            }
        }
        Err(match (passing, lasting) {
            (Some(passing), None) => passing,
            (None, Some(lasting)) if asked == servers.len() => lasting,
            (_, Some(lasting)) => {
                let why = lasting.source().map(ToString::to_string).unwrap_or_default();
                let why = format!("one server: {}: {why}; the others can't be asked", lasting.kind());
                failure(Operation::Connect, StoreErrorKind::Unavailable, why)
            }
            (None, None) => failure(Operation::Connect, StoreErrorKind::Configuration, "no server is named"),
        })
    }
}
