//! Sessions of golock's own, with settings of golock's own: never those of the application's pool.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use golock_core::backend::sessions::{InUse, Opener, Sessions};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Row};

use crate::error::{BACKEND, failed, failed_halfway, failed_in_a_transaction, failure, is_worth_another_try};
use crate::statements::{is_transaction, session_settings};

/// How soon a connection over which nothing comes is looked after, if the application says nothing.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Sessions for one purpose.
pub(crate) struct Lane {
    sessions: Sessions<Access>,
}

/// What the server said to one statement.
pub(crate) struct Reply {
    /// When it was asked, at the earliest.
    pub(crate) asked: Instant,
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
        let settings = session_settings(lock_wait, request_timeout);
        Self { sessions: Sessions::new(Access { opts: own(opts), settings }, size, request_timeout) }
    }

    /// If the server has no room for more connections, those of `others` that nobody uses make it.
    pub(crate) fn preferred_to(self, others: &Self) -> Self {
        Self { sessions: self.sessions.preferred_to(&others.sessions) }
    }

    /// Sends statements, all of them at once, and returns what the server said to each.
    ///
    /// They may be sent twice: after a deadlock, and, if that makes no difference to the answer, when the session proves to have
    /// been closed while nobody used it.
    pub(crate) async fn call(&self, operation: Operation, text: &str) -> Result<Vec<Reply>, StoreError> {
        let mut session = self.sessions.session().await?;
        let error = match call_on(&mut session, operation, text).await {
            Err(error) if session.was_idle() && error.kind() == StoreErrorKind::Connection => error,
            outcome => return outcome,
        };
        drop(session);
        // So were those beside it, then.
        self.sessions.close_idle();
        if !is_repeatable(operation) {
            return Err(error);
        }
        let again = match self.sessions.session().await {
            Ok(mut fresh) => call_on(&mut fresh, operation, text).await,
            Err(error) => Err(error),
        };
        // The first try may have taken effect, whatever became of the second. That no second was made says nothing of it.
        again.map_err(|again| if again.took_no_effect() { error } else { again })
    }
}

async fn call_on(
    session: &mut InUse<Access>,
    operation: Operation,
    text: &str,
) -> Result<Vec<Reply>, StoreError> {
    let run = async |conn: &mut Conn| {
        let replies = send(conn, operation, text).await;
        if replies
            .as_ref()
            .is_err_and(|failure| failure.in_a_transaction && !is_worth_another_try(&failure.error))
        {
            // Another try begins with this itself. The rows are let go before the engine asks for them one by one. Should it fail,
            // the session's end does the same.
            let _ = conn.query_drop("ROLLBACK").await;
        }
        replies
    };
    session.call(operation, run).await
}

/// It may be done twice without anybody noticing. A release would say that it was released before, and whoever takes a lock
/// from its holder that nobody held it.
fn is_repeatable(operation: Operation) -> bool {
    use Operation as Op;
    matches!(operation, Op::Connect | Op::CreateSchema | Op::Acquire | Op::Renew | Op::Inspect | Op::List)
}

/// Statements that failed.
struct Failure {
    /// How many of them were done before the one that did.
    done: usize,
    in_a_transaction: bool,
    /// To send them all again makes no difference to the answer: nothing of them took effect, or it may be done twice.
    is_repeatable: bool,
    error: Error,
}

async fn send(conn: &mut Conn, operation: Operation, text: &str) -> Result<Vec<Reply>, Failure> {
    let (asked, in_a_transaction) = (Instant::now(), is_transaction(text));
    let failure = |done, error| {
        let is_repeatable = done == 0 || in_a_transaction || is_repeatable(operation);
        Failure { done, in_a_transaction, is_repeatable, error }
    };
    let mut result = conn.query_iter(text).await.map_err(|error| failure(0, error))?;
    let mut replies = Vec::new();
    let read = async {
        loop {
            // Of this statement, if it has no rows: then they are known before, and else of no interest.
            let (affected, last_insert_id) = (result.affected_rows(), result.last_insert_id().unwrap_or(0));
            replies.push(Reply { asked, rows: result.collect().await?, affected, last_insert_id });
            if result.columns().is_none() {
                // It was the last; or the next one failed, which shows only here.
                return result.drop_result().await;
            }
        }
    };
    match read.await {
        Ok(()) => Ok(replies),
        Err(error) => Err(failure(replies.len().max(1), error)),
    }
}

/// How sessions are opened and prepared.
struct Access {
    opts: Opts,
    settings: String,
}

impl Opener for Access {
    type Session = Conn;
    type Error = Failure;
    const BACKEND: &'static str = BACKEND;

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
        let prepared = send(&mut conn, Operation::Connect, &self.settings).await;
        let replies = prepared.map_err(|Failure { error, .. }| failed(Operation::Connect, error))?;
        let told = |at| replies.last().and_then(|reply| reply.rows.first()?.get_opt::<String, _>(at)?.ok());
        match (told(0).as_deref(), told(1).as_deref()) {
            (Some("0" | "OFF"), Some("1")) => Ok(conn),
            (Some("0" | "OFF"), _) => unfit(
                StoreErrorKind::Configuration,
                "the server runs with sysdate-is-now: golock has to know what time it is while a statement runs",
            ),
            _ => unfit(StoreErrorKind::ReadOnly, "the server is read-only: @@GLOBAL.read_only is on"),
        }
    }

    fn is_open(conn: &Conn) -> bool {
        !conn.is_disconnected()
    }

    fn failed(operation: Operation, Failure { done, in_a_transaction, error, .. }: Failure) -> StoreError {
        // The first statement of a renewal notes the time.
        let without_effect = usize::from(operation == Operation::Renew);
        match done {
            done if done <= without_effect => failed(operation, error),
            // It has ended with the session, if not before.
            _ if in_a_transaction => failed_in_a_transaction(operation, error),
            _ => failed_halfway(operation, error),
        }
    }

    /// None does: nobody is given the answer of another's call (mysql_async #401).
    fn leaves_usable(_: &Failure) -> bool {
        false
    }

    fn is_worth_another_try(failure: &Failure) -> bool {
        failure.is_repeatable && is_worth_another_try(&failure.error)
    }
}

/// The application's options, for sessions of our own.
pub fn own(opts: &Opts) -> Opts {
    OptsBuilder::from_opts(opts.clone())
        // Of a URL the builder takes the host as it is written there, and nobody finds an address of IPv6 in its brackets.
        .ip_or_hostname(opts.ip_or_hostname().trim_matches(['[', ']']))
        .tcp_keepalive(opts.tcp_keepalive().or(Some(KEEPALIVE)))
        // By default the driver asks the server for its socket, and goes on over the one of that name on *this* machine:
        // with a server in a container that may be another server, whose locks exclude nobody. `socket` names one.
        .prefer_socket(false)
        .into()
}

#[cfg(test)]
mod tests {
    use mysql_async::Opts;

    use super::own;

    #[test]
    fn hosts_are_those_of_the_url() {
        for (written, host) in
            [("[::1]", "::1"), ("[2001:db8::7]", "2001:db8::7"), ("127.0.0.1", "127.0.0.1"), ("db", "db")]
        {
            let opts = own(&Opts::from_url(&format!("mysql://user:secret@{written}:3307/db")).unwrap());
            assert_eq!((opts.ip_or_hostname(), opts.tcp_port()), (host, 3307), "{written}");
        }
    }
}
