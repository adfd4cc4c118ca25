//! Sessions of golock's own, with settings of golock's own: never those of the application's pool.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{
    self, Manager, Metrics, Object, PoolConfig, PoolError, QueueMode, RecycleError, RecycleResult,
};
use futures_util::FutureExt;
use golock_core::Openings;
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Row};
use tokio::time::timeout;

use crate::error::{failed, failed_halfway, failed_in_a_transaction, failure, is_worth_another_try};
use crate::statements::{is_transaction, session_settings};

/// How soon a connection over which nothing comes is looked after, if the application says nothing.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Sessions for one purpose: whoever needs one waits only for others with the same purpose.
pub(crate) struct Lane {
    sessions: managed::Pool<Opener>,
}

/// What the server said to one statement.
pub(crate) struct Reply {
    pub(crate) rows: Vec<Row>,
    /// How many rows it inserted, changed or deleted.
    pub(crate) affected: u64,
    /// What it remembered by `LAST_INSERT_ID`; 0: nothing.
    pub(crate) last_insert_id: u64,
}

impl Lane {
    /// At most `size` sessions, opened when they are needed. A statement waits for a lock for `lock_wait` at most, in whole
    /// seconds, and never less than one.
    pub(crate) fn new(opts: &Opts, size: usize, lock_wait: Duration, request_timeout: Duration) -> Self {
        let access = Access {
            opts: own(opts),
            settings: session_settings(lock_wait, request_timeout),
            within: request_timeout,
        };
        let opener = Opener { access: Arc::new(access), openings: Openings::new() };
        // The session used last is the least likely to have been closed meanwhile.
        let config = PoolConfig { queue_mode: QueueMode::Lifo, ..PoolConfig::new(size.max(1)) };
        match managed::Pool::builder(opener).config(config).build() {
            Ok(sessions) => Self { sessions },
            Err(error) => unreachable!("without timeouts no runtime is asked for: {error}"),
        }
    }

    /// Sends statements, all of them at once, and returns what the server said to each.
    ///
    /// They may be sent twice: after a deadlock, and, if that makes no difference to the answer, when the session proves to have
    /// been closed while nobody used it.
    pub(crate) async fn call(&self, operation: Operation, text: &str) -> Result<Vec<Reply>, StoreError> {
        let mut session = self.session().await?;
        let error = match session.call(operation, text).await {
            Err(error) if session.was_idle() && error.kind() == StoreErrorKind::Connection => error,
            outcome => return outcome,
        };
        drop(session);
        // So were those beside it, then.
        self.sessions.retain(|_, _| false);
        if !is_repeatable(operation) {
            return Err(error);
        }
        let again = match self.session().await {
            Ok(mut fresh) => fresh.call(operation, text).await,
            Err(error) => Err(error),
        };
        // The first try may have taken effect, whatever became of the second.
        again.map_err(|again| if again.kind().took_no_effect() { error } else { again })
    }

    async fn session(&self) -> Result<Session, StoreError> {
        match self.sessions.get().await {
            Ok(session) => Ok(Session { opened: Some(session), fit: true }),
            Err(PoolError::Backend(error)) => Err(error),
            Err(error) => Err(failure(Operation::Connect, StoreErrorKind::Other, error.to_string())),
        }
    }
}

/// It may be done twice without anybody noticing. A release would say that it was released before, and whoever takes a lock
/// from its holder that nobody held it.
fn is_repeatable(operation: Operation) -> bool {
    use Operation as Op;
    matches!(operation, Op::Connect | Op::CreateSchema | Op::Acquire | Op::Renew | Op::Inspect | Op::List)
}

/// A session in use. It goes back to its lane only if its call was answered: one that was dropped on the way, or failed, is
/// closed, so that nobody is given the answer of another's call (mysql_async #401).
struct Session {
    opened: Option<Object<Opener>>,
    fit: bool,
}

impl Session {
    async fn call(&mut self, operation: Operation, text: &str) -> Result<Vec<Reply>, StoreError> {
        let Some(Opened { conn, .. }) = self.opened.as_deref_mut() else {
            return Err(failure(operation, StoreErrorKind::Connection, "the session was given up"));
        };
        self.fit = false;
        let replies = match send(conn, text).await {
            Err((_, error)) if is_worth_another_try(&error) => send(conn, text).await,
            outcome => outcome,
        };
        self.fit = replies.is_ok();
        if replies.is_err() && is_transaction(text) {
            // The rows are let go before the engine asks for them one by one. Should it fail, the session's end does the same.
            let _ = conn.query_drop("ROLLBACK").await;
        }
        // The first statement of a renewal notes the time.
        let without_effect = usize::from(operation == Operation::Renew);
        replies.map_err(|(before, error)| match before {
            Before(statements) if statements <= without_effect => failed(operation, error),
            // It has ended with the session, if not before.
            Before(_) if is_transaction(text) => failed_in_a_transaction(operation, error),
            Before(_) => failed_halfway(operation, error),
        })
    }

    fn was_idle(&self) -> bool {
        self.opened
            .as_ref()
            .is_some_and(|opened| opened.was_left_behind || Object::metrics(opened).recycle_count > 0)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(opened) = self.opened.take().filter(|_| !self.fit) {
            drop(Object::take(opened));
        }
    }
}

/// How many statements were done before the one that failed.
struct Before(usize);

async fn send(conn: &mut Conn, text: &str) -> Result<Vec<Reply>, (Before, Error)> {
    let mut result = conn.query_iter(text).await.map_err(|error| (Before(0), error))?;
    let mut replies = Vec::new();
    let read = async {
        loop {
            // Of this statement, if it has no rows: then they are known before, and else of no interest.
            let (affected, last_insert_id) = (result.affected_rows(), result.last_insert_id().unwrap_or(0));
            replies.push(Reply { rows: result.collect().await?, affected, last_insert_id });
            if result.columns().is_none() {
                // It was the last; or the next one failed, which shows only here.
                return result.drop_result().await;
            }
        }
    };
    match read.await {
        Ok(()) => Ok(replies),
        Err(error) => Err((Before(replies.len().max(1)), error)),
    }
}

/// Opens sessions for a lane.
struct Opener {
    access: Arc<Access>,
    openings: Openings<Opened, StoreError>,
}

impl Manager for Opener {
    type Type = Opened;
    type Error = StoreError;

    async fn create(&self) -> Result<Opened, StoreError> {
        let access = Arc::clone(&self.access);
        let opening = async move {
            let conn = timeout(access.within, access.open()).await.unwrap_or_else(|_| Err(too_late()))?;
            Ok(Opened { conn, was_left_behind: false })
        };
        let fits = |left_behind: &mut Opened| {
            left_behind.was_left_behind = true;
            !left_behind.conn.is_disconnected()
        };
        self.openings.session(fits, opening).await
    }

    async fn recycle(&self, opened: &mut Opened, _: &Metrics) -> RecycleResult<StoreError> {
        if opened.conn.is_disconnected() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

fn too_late() -> StoreError {
    failure(Operation::Connect, StoreErrorKind::Timeout, "no connection within the request timeout")
}

/// A prepared session.
struct Opened {
    conn: Conn,
    /// It may have been open for a while when somebody came who needed it.
    was_left_behind: bool,
}

/// How sessions are opened and prepared.
struct Access {
    opts: Opts,
    settings: String,
    within: Duration,
}

impl Access {
    async fn open(&self) -> Result<Conn, StoreError> {
        let unfit = |kind, why: &str| Err(failure(Operation::Connect, kind, why));
        // A process with two providers of cryptography, none of them chosen, makes rustls panic.
        let Ok(connected) = AssertUnwindSafe(Conn::new(self.opts.clone())).catch_unwind().await else {
            return unfit(
                StoreErrorKind::Configuration,
                "rustls has several providers of cryptography, or none: choose one with CryptoProvider::install_default",
            );
        };
        let mut conn = connected.map_err(|error| failed(Operation::Connect, error))?;
        let prepared = send(&mut conn, &self.settings).await;
        let replies = prepared.map_err(|(_, error)| failed(Operation::Connect, error))?;
        let read_only = replies.last().and_then(|reply| reply.rows.first()?.get_opt::<String, _>(0)?.ok());
        match read_only.as_deref() {
            Some("0" | "OFF") => Ok(conn),
            _ => unfit(StoreErrorKind::ReadOnly, "the server is read-only: @@GLOBAL.read_only is on"),
        }
    }
}

/// The application's options, for sessions of our own.
fn own(opts: &Opts) -> Opts {
    OptsBuilder::from_opts(opts.clone())
        .tcp_keepalive(opts.tcp_keepalive().or(Some(KEEPALIVE)))
        // By default the driver asks the server for its socket, and goes on over the one of that name on *this* machine:
        // with a server in a container that may be another server, whose locks exclude nobody. `socket` names one.
        .prefer_socket(false)
        .into()
}
