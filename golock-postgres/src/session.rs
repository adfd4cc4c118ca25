//! Sessions of golock's own: opened by the manager of the application's pool, never put into that pool.
//!
//! So golock's settings don't leak into the application's sessions, and an application whose every pooled
//! connection is in use can still lock, renew and unlock.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Manager, Metrics, Object, PoolConfig, PoolError, QueueMode, RecycleError};
use deadpool_postgres::{ClientWrapper, Pool};
use golock_core::Openings;
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error as DriverError, Row, SimpleQueryMessage};

use crate::error::{
    OpenError, call_failed, failure, is_statement_timeout, is_worth_another_try, leaves_session_usable,
};
use crate::statements::without_comments;

/// Sessions for one purpose: whoever needs one waits only for others with the same purpose.
pub(crate) struct Lane {
    sessions: managed::Pool<Opener>,
}

impl Lane {
    /// At most `size` sessions, opened when they are needed, over connections as `origin` opens them.
    pub(crate) fn new(origin: &Pool, size: usize, request_timeout: Duration) -> Self {
        let opener = Opener {
            access: Arc::new(Access::new(origin.clone(), request_timeout)),
            openings: Openings::new(),
        };
        // The session used last is the one whose statements are prepared.
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

    /// Runs one statement, in one round trip once it is prepared on the session.
    pub(crate) async fn query(
        &self,
        operation: Operation,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.session().await?.query(operation, sql, parameters).await
    }
}

/// A session in use. It goes back to its lane only if each of its calls was answered: one that was dropped on the way,
/// or whose connection broke, is closed.
pub(crate) struct Session {
    opened: Option<Object<Opener>>,
    fit: bool,
}

impl Session {
    pub(crate) async fn query(
        &mut self,
        operation: Operation,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let run = async |opened: &Opened| {
            let statement = opened.client.prepare_cached(sql).await?;
            opened.client.query(&statement, parameters).await
        };
        self.call(operation, async |opened| match run(opened).await {
            Err(error) if is_worth_another_try(&error) => run(opened).await,
            outcome => outcome,
        })
        .await
    }

    /// Runs statements without parameters.
    pub(crate) async fn execute(&mut self, operation: Operation, sql: &str) -> Result<(), StoreError> {
        self.call(operation, async |opened| opened.client.batch_execute(sql).await).await
    }

    async fn call<T>(
        &mut self,
        operation: Operation,
        call: impl AsyncFnOnce(&Opened) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        let Some(opened) = self.opened.as_deref().filter(|_| self.fit) else {
            return Err(failure(operation, StoreErrorKind::Connection, "the session was given up"));
        };
        self.fit = false;
        let outcome = call(opened).await;
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
        let opening =
            async move { timeout(access.within, access.open()).await.unwrap_or(Err(OpenError::TimedOut)) };
        self.openings.session(|left_behind| !left_behind.client.is_closed(), opening).await
    }

    async fn recycle(&self, opened: &mut Opened, _: &Metrics) -> Result<(), RecycleError<OpenError>> {
        if opened.client.is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

/// How sessions are opened and prepared.
struct Access {
    origin: Pool,
    /// What a new session is told.
    settings: String,
    within: Duration,
}

impl Access {
    fn new(origin: Pool, request_timeout: Duration) -> Self {
        let milliseconds = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128).to_string();
        let settings = without_comments(include_str!("sql/session.sql"))
            .replace("{statement_timeout}", &milliseconds(request_timeout))
            .replace("{lock_timeout}", &milliseconds((request_timeout / 4).min(Duration::from_secs(1))));
        Self { origin, settings, within: request_timeout }
    }

    async fn open(&self) -> Result<Opened, OpenError> {
        // The role's own statement_timeout may be shorter than things take the first time, or on a busy server: again, until
        // there is no more time to open a session. With `target_session_attrs` the driver asks something itself.
        let client = loop {
            match self.origin.manager().create().await {
                Err(error) if is_statement_timeout(&error) => {}
                created => break created?,
            }
        };
        let opened = Opened { client, origin: self.origin.clone() };
        let answers = loop {
            match opened.client.simple_query(&self.settings).await {
                Err(error) if is_statement_timeout(&error) => {}
                answers => break answers?,
            }
        };
        let is_standby = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get("standby") == Some("t"),
            _ => false,
        };
        if answers.iter().any(is_standby) {
            return Err(OpenError::Unfit(
                StoreErrorKind::ReadOnly,
                "the server is a standby: pg_is_in_recovery() is true",
            ));
        }
        Ok(opened)
    }
}

/// A prepared session.
struct Opened {
    client: ClientWrapper,
    origin: Pool,
}

impl Deref for Opened {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

impl Drop for Opened {
    /// The application's manager keeps a list of its clients' caches of statements.
    fn drop(&mut self) {
        self.origin.manager().detach(&mut self.client);
    }
}
