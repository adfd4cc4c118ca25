//! How connections are opened, and to which server, where several are named.

use std::error::Error;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
use tokio::time::Instant;

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

    /// What comes of asking the servers one after the other until one knows, and at last those that are `gone`. One that is frozen or
    /// unreachable, and says nothing, takes a part of the time that connecting may take: and whoever asks next, also because this
    /// future was dropped, begins with another.
    ///
    /// # Errors
    /// What one of them failed with. That is final only if it is with all of them: as long as one may be well later, so may this.
    pub(crate) async fn any_of<T, Answer>(
        &self,
        servers: &[Server],
        gone: &[Server],
        ask: impl Fn(Server, Duration) -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        let all = servers.len() + gone.len();
        let patience = self.within / u32::try_from(all.clamp(1, SILENT)).unwrap_or(1);
        let (begun, first) = (Instant::now(), self.first.load(Ordering::Relaxed));
        // If all say nothing there is time for one that is gone.
        let kept_back = if gone.is_empty() { Duration::ZERO } else { patience };
        let in_turn = |of: &[Server], nr: usize| of[(first + nr) % of.len()].clone();
        let (mut passing, mut lasting, mut asked) = (None, None, 0);
        for nr in 0..all {
            let (server, kept_back) = match nr.checked_sub(servers.len()) {
                None => (in_turn(servers, nr), kept_back),
                Some(nr) => (in_turn(gone, nr), Duration::ZERO),
            };
            if begun.elapsed() + kept_back >= self.within {
                continue;
            }
            self.first.store(first + nr + 1, Ordering::Relaxed);
            asked += 1;
            match connected_within(patience, BACKEND, "it says nothing", ask(server, patience)).await {
                Ok(answer) => {
                    self.first.store(first + nr, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) if error.is_transient() => passing = Some(error),
                Err(error) => lasting = Some(error),
            }
        }
        Err(match (passing, lasting) {
            (Some(passing), None) => passing,
            (None, Some(lasting)) if asked == all => lasting,
            (_, Some(lasting)) => {
                let why = lasting.source().map(ToString::to_string).unwrap_or_default();
                let why = format!("one server: {}: {why}; the others can't be asked", lasting.kind());
                failure(Operation::Connect, StoreErrorKind::Unavailable, why)
            }
            (None, None) => failure(Operation::Connect, StoreErrorKind::Configuration, "no server is named"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Mutex;

    use fred::types::config::{Config, ConnectionConfig, Server};
    use golock_core::StoreError;
    use golock_core::store::{Operation, StoreErrorKind as Kind};

    use super::{Setup, failure};

    /// Which answer, which refuse for good, which for now; the others say nothing.
    struct Asked {
        setup: Setup,
        asked: Mutex<Vec<u16>>,
    }

    impl Asked {
        fn new() -> Self {
            Self {
                setup: Setup::new(Config::default(), ConnectionConfig::default()),
                asked: Mutex::default(),
            }
        }

        async fn any_of(&self, here: &[u16], gone: &[u16]) -> (Result<u16, Kind>, Vec<u16>) {
            let [here, gone] = [here, gone]
                .map(|ports| ports.iter().map(|port| Server::new("server", *port)).collect::<Vec<_>>());
            let ask = |server: Server, _| async move {
                self.asked.lock().unwrap().push(server.port);
                let refused = |kind| Err::<u16, StoreError>(failure(Operation::Connect, kind, "refused"));
                match server.port {
                    port @ 10..20 => Ok(port),
                    20..30 => refused(Kind::Configuration),
                    30..40 => refused(Kind::Connection),
                    _ => pending().await,
                }
            };
            let outcome = self.setup.any_of(&here, &gone, ask).await;
            (outcome.map_err(|error| error.kind()), std::mem::take(&mut *self.asked.lock().unwrap()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_answered_is_asked_first_and_who_is_gone_last() {
        let asked = Asked::new();
        assert_eq!(asked.any_of(&[30, 10, 11], &[12]).await, (Ok(10), vec![30, 10]));
        asked.setup.begin_with_another();
        for _ in 0..3 {
            assert_eq!(asked.any_of(&[30, 10, 11], &[12]).await, (Ok(11), vec![11]));
        }
        assert_eq!(asked.any_of(&[30, 31], &[12]).await.0, Ok(12));
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_say_nothing_there_is_time_for_one_that_is_gone() {
        assert_eq!(Asked::new().any_of(&[1, 2, 3, 4], &[10]).await, (Ok(10), vec![1, 2, 10]));
        let asked = Asked::new();
        assert_eq!(asked.any_of(&[1, 2, 3, 10], &[]).await, (Err(Kind::Timeout), vec![1, 2, 3]));
        assert_eq!(
            asked.any_of(&[1, 2, 3, 10], &[]).await,
            (Ok(10), vec![10]),
            "the next goes on from there"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final_if_all_have_refused() {
        let kind = async |here: &[u16], gone: &[u16]| Asked::new().any_of(here, gone).await.0.unwrap_err();
        assert_eq!(kind(&[20, 21], &[]).await, Kind::Configuration);
        assert_eq!(kind(&[20, 30], &[]).await, Kind::Unavailable);
        assert_eq!(kind(&[20], &[30]).await, Kind::Unavailable);
        assert_eq!(kind(&[30, 31], &[]).await, Kind::Connection);
        assert_eq!(kind(&[], &[]).await, Kind::Configuration);
    }
}
