//! Sessions: opened with golock's settings, used by one call at a time, thrown away when a call did not end well.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Manager, Metrics, Object, PoolConfig, PoolError, QueueMode, RecycleError};
use golock_core::Openings;
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use socket2::{SockRef, Socket, TcpKeepalive};
use tiberius::error::Error as DriverError;
use tiberius::{Client, Config, Row, SqlBrowser, ToSql};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::error::{OpenError, call_failed, failure, is_worth_another_try, leaves_session_usable};
use crate::statements;

/// How soon a connection over which nothing comes is looked after.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Sessions for one purpose: whoever needs one waits only for others with the same purpose.
pub(crate) struct Lane {
    sessions: managed::Pool<Opener>,
}

impl Lane {
    /// At most `size` sessions, opened when they are needed. A statement waits for a row up to `lock_timeout`.
    pub(crate) fn new(
        config: &Config,
        size: usize,
        request_timeout: Duration,
        lock_timeout: Duration,
    ) -> Self {
        let opener = Opener {
            access: Arc::new(Access::new(config.clone(), request_timeout, lock_timeout)),
            openings: Openings::new(),
        };
        let config = PoolConfig { queue_mode: QueueMode::Lifo, ..PoolConfig::new(size.max(1)) };
        match managed::Pool::builder(opener).config(config).build() {
            Ok(sessions) => Self { sessions },
            Err(error) => unreachable!("without timeouts no runtime is asked for: {error}"),
        }
    }

    /// A session, of which nobody else has the use until it is dropped.
    pub(crate) async fn session(&self) -> Result<Session, StoreError> {
        match self.sessions.get().await {
            Ok(session) => Ok(Session { opened: Some(session), fit: true }),
            Err(PoolError::Backend(error)) => Err(error.into_store_error()),
            Err(error) => Err(failure(Operation::Connect, StoreErrorKind::Other, error.to_string())),
        }
    }

    /// Runs one statement, in one round trip.
    pub(crate) async fn query(
        &self,
        operation: Operation,
        sql: &str,
        parameters: &[&dyn ToSql],
    ) -> Result<Vec<Row>, StoreError> {
        self.session().await?.query(operation, sql, parameters).await
    }
}

/// A session in use. It goes back to its lane only if each of its calls was answered in full: one that was dropped on
/// the way, timed out or failed is closed, for the rest of its answer would be taken for the next one's
/// (tiberius #79). The server then ends what it still does for it.
pub(crate) struct Session {
    opened: Option<Object<Opener>>,
    fit: bool,
}

impl Session {
    /// Runs one statement; its rows are those of its first result. A deadlock is tried once more.
    pub(crate) async fn query(
        &mut self,
        operation: Operation,
        sql: &str,
        parameters: &[&dyn ToSql],
    ) -> Result<Vec<Row>, StoreError> {
        let run =
            async |client: &mut TdsClient| client.query(sql, parameters).await?.into_first_result().await;
        self.call(operation, async |client| match run(client).await {
            Err(error) if is_worth_another_try(&error) => run(client).await,
            outcome => outcome,
        })
        .await
    }

    /// Runs statements without parameters.
    pub(crate) async fn execute(&mut self, operation: Operation, sql: &str) -> Result<(), StoreError> {
        self.call(operation, async |client| client.simple_query(sql).await?.into_results().await.map(drop))
            .await
    }

    async fn call<T>(
        &mut self,
        operation: Operation,
        call: impl AsyncFnOnce(&mut TdsClient) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        let Some(opened) = self.opened.as_deref_mut().filter(|_| self.fit) else {
            return Err(failure(operation, StoreErrorKind::Connection, "the session was given up"));
        };
        self.fit = false;
        let outcome = call(&mut opened.client).await;
        self.fit = outcome.as_ref().err().is_none_or(leaves_session_usable);
        outcome.map_err(|error| call_failed(operation, error))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(opened) = self.opened.take().filter(|_| !self.fit) {
            drop(Object::take(opened));
        }
    }
}

/// Opens sessions for a lane.
struct Opener {
    access: Arc<Access>,
    openings: Openings<Opened, OpenError>,
}

impl Manager for Opener {
    type Type = Opened;
    type Error = OpenError;

    async fn create(&self) -> Result<Opened, OpenError> {
        let access = Arc::clone(&self.access);
        let opening = async move {
            timeout(access.within, Box::pin(access.open())).await.unwrap_or(Err(OpenError::TimedOut))
        };
        self.openings.session(|left_behind| left_behind.is_quiet(), opening).await
    }

    async fn recycle(&self, opened: &mut Opened, _: &Metrics) -> Result<(), RecycleError<OpenError>> {
        if opened.is_quiet() { Ok(()) } else { Err(RecycleError::message("the server has spoken unasked")) }
    }
}

/// How sessions are opened and prepared.
struct Access {
    config: Config,
    /// What a new session is told.
    settings: String,
    within: Duration,
}

impl Access {
    fn new(mut config: Config, request_timeout: Duration, lock_timeout: Duration) -> Self {
        config.command_timeout(Some(request_timeout));
        config.handshake_timeout(Some(request_timeout));
        // `ApplicationIntent=ReadOnly` would lead to a replica that takes no locks.
        config.readonly(false);
        let lock_timeout = lock_timeout.as_millis().clamp(1, i32::MAX as u128);
        let settings = statements::session(i32::try_from(lock_timeout).unwrap_or(i32::MAX));
        Self { config, settings, within: request_timeout }
    }

    async fn open(&self) -> Result<Opened, OpenError> {
        let tcp = TcpStream::connect_named(&self.config).await?;
        match self.log_in(self.config.clone(), tcp).await {
            // Azure's gateway sends its clients on to where the database is.
            Err(OpenError::Driver(DriverError::Routing { host, port })) => {
                let tcp = TcpStream::connect((&*host, port)).await?;
                let mut config = self.config.clone();
                config.host(host);
                config.port(port);
                self.log_in(config, tcp).await
            }
            outcome => outcome,
        }
    }

    async fn log_in(&self, config: Config, tcp: TcpStream) -> Result<Opened, OpenError> {
        tcp.set_nodelay(true)?;
        let socket = SockRef::from(&tcp);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        let socket = socket.try_clone()?;
        // The driver's future is so large that, passed through the callers' frames, it would fill a debug build's stack.
        let mut client = Box::pin(Client::connect(config, tcp.compat_write())).await?;
        let answer = client.simple_query(&*self.settings).await?.into_row().await?;
        if answer.as_ref().and_then(|row| row.get("updateability")) == Some("READ_ONLY") {
            let why = "the database is read-only: DATABASEPROPERTYEX(DB_NAME(), 'Updateability')";
            return Err(OpenError::Unfit(StoreErrorKind::ReadOnly, why));
        }
        Ok(Opened { client, socket })
    }
}

type TdsClient = Client<Compat<TcpStream>>;

/// A prepared session.
struct Opened {
    client: TdsClient,
    /// The client's own, for the client does not show it.
    socket: Socket,
}

impl Opened {
    /// The server has neither closed the connection nor sent anything since its last answer: costs no round trip.
    fn is_quiet(&self) -> bool {
        let nothing_yet = self.socket.peek(&mut [MaybeUninit::uninit()]);
        nothing_yet.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}
