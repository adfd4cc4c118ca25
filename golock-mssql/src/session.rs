//! Sessions: opened with golock's settings.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use golock_core::backend::sessions::{Opener, Sessions};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use socket2::{SockRef, Socket, TcpKeepalive};
use tiberius::error::Error as DriverError;
use tiberius::{Client, Config, Row, SqlBrowser, ToSql};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::error::{BACKEND, call_failed, failure, is_worth_another_try, not_opened};
use crate::statements;

/// How soon a connection over which nothing comes is looked after.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Sessions for one purpose.
pub(crate) struct Lane {
    sessions: Sessions<Access>,
}

impl Lane {
    /// At most `size` sessions, opened when they are needed. A statement waits for a row up to `lock_timeout`. `was_there`: the
    /// store's own, for all its lanes.
    pub(crate) fn new(
        config: &Config,
        size: usize,
        request_timeout: Duration,
        lock_timeout: Duration,
        was_there: &Arc<AtomicBool>,
    ) -> Self {
        let mut config = config.clone();
        config.command_timeout(Some(request_timeout));
        config.handshake_timeout(Some(request_timeout));
        // `ApplicationIntent=ReadOnly` would lead to a replica that takes no locks.
        config.readonly(false);
        let lock_timeout = lock_timeout.as_millis().clamp(1, i32::MAX as u128);
        let settings = statements::session(i32::try_from(lock_timeout).unwrap_or(i32::MAX));
        let access = Access { config, settings, was_there: was_there.clone() };
        Self { sessions: Sessions::new(access, size, request_timeout) }
    }

    /// If the server has no room for more connections, those of `others` that nobody uses make it.
    pub(crate) fn preferred_to(self, others: &Self) -> Self {
        Self { sessions: self.sessions.preferred_to(&others.sessions) }
    }

    /// Runs one statement, in one round trip; its rows are those of its first result.
    pub(crate) async fn query(
        &self,
        operation: Operation,
        sql: &str,
        parameters: &[&dyn ToSql],
    ) -> Result<Vec<Row>, StoreError> {
        let run = async |session: &mut Session| {
            session.client.query(sql, parameters).await?.into_first_result().await
        };
        self.sessions.call(operation, run).await
    }

    /// Runs statements without parameters; once more after a deadlock.
    pub(crate) async fn execute(&self, operation: Operation, sql: &str) -> Result<(), StoreError> {
        let run = async |session: &mut Session| {
            session.client.simple_query(sql).await?.into_results().await.map(drop)
        };
        self.sessions.call(operation, run).await
    }
}

/// How sessions are opened and prepared.
struct Access {
    config: Config,
    /// What a new session is told.
    settings: String,
    /// A session was opened once.
    was_there: Arc<AtomicBool>,
}

impl Access {
    async fn connect(&self) -> Result<Session, DriverError> {
        let tcp = TcpStream::connect_named(&self.config).await?;
        match self.log_in(self.config.clone(), tcp).await {
            // Azure's gateway sends its clients on to where the database is.
            Err(DriverError::Routing { host, port }) => {
                let tcp = TcpStream::connect((&*host, port)).await?;
                let mut config = self.config.clone();
                config.host(host);
                config.port(port);
                self.log_in(config, tcp).await
            }
            outcome => outcome,
        }
    }

    async fn log_in(&self, config: Config, tcp: TcpStream) -> Result<Session, DriverError> {
        tcp.set_nodelay(true)?;
        let socket = SockRef::from(&tcp);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        // A call that was given up must not arrive later: what of it is not sent yet when its connection is closed is thrown away. Else
        // the system would go on sending it, over a network that is cut, for many minutes.
        socket.set_linger(Some(Duration::ZERO))?;
        let socket = socket.try_clone()?;
        // The driver's future is so large that, passed through the callers' frames, it would fill a debug build's stack.
        let client = Box::pin(Client::connect(config, tcp.compat_write())).await?;
        Ok(Session { client, socket })
    }
}

impl Opener for Access {
    type Session = Session;
    type Error = DriverError;
    const BACKEND: &'static str = BACKEND;

    async fn open(&self) -> Result<Session, StoreError> {
        let not_opened = |error| not_opened(error, self.was_there.load(Ordering::Relaxed));
        let mut session = self.connect().await.map_err(not_opened)?;
        let settings = async { session.client.simple_query(&*self.settings).await?.into_row().await };
        let answer = settings.await.map_err(not_opened)?;
        if answer.as_ref().and_then(|row| row.get("updateability")) == Some("READ_ONLY") {
            let why = "the database is read-only: DATABASEPROPERTYEX(DB_NAME(), 'Updateability')";
            return Err(failure(Operation::Connect, StoreErrorKind::ReadOnly, why));
        }
        self.was_there.store(true, Ordering::Relaxed);
        Ok(session)
    }

    /// The server has neither closed the connection nor sent anything since its last answer.
    fn is_open(session: &Session) -> bool {
        let nothing_yet = session.socket.peek(&mut [MaybeUninit::uninit()]);
        nothing_yet.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    fn failed(operation: Operation, error: DriverError) -> StoreError {
        call_failed(operation, error)
    }

    fn leaves_usable(error: &DriverError) -> bool {
        is_worth_another_try(error)
    }

    fn is_worth_another_try(error: &DriverError) -> bool {
        is_worth_another_try(error)
    }
}

/// A prepared session. A call on it that was not answered in full must be its last: the rest of the answer would be taken for the
/// next one's (tiberius #79).
struct Session {
    client: Client<Compat<TcpStream>>,
    /// The client's own, for the client does not show it.
    socket: Socket,
}
