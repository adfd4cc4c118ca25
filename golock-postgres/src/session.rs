//! Sessions of golock's own: opened by the manager of the application's pool, never put into that pool.
//!
//! So golock's settings don't leak into the application's sessions, and an application whose every pooled
//! connection is in use can still lock, renew and unlock.

use std::time::Duration;

use deadpool::managed::Manager;
use deadpool_postgres::{ClientWrapper, Pool};
use golock_core::backend::sessions::{Opener, Sessions};
use golock_core::backend::{fill, without_comments};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error as DriverError, Row, SimpleQueryMessage};

use crate::error::{
    BACKEND, call_failed, failure, is_statement_timeout, is_worth_another_try, leaves_session_usable,
    not_opened,
};

/// Sessions for one purpose.
pub(crate) struct Lane {
    sessions: Sessions<Access>,
}

impl Lane {
    /// At most `size` sessions, opened when they are needed, over connections as `origin` opens them.
    pub(crate) fn new(origin: &Pool, size: usize, request_timeout: Duration) -> Self {
        let milliseconds = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128).to_string();
        let lock_timeout = (request_timeout / 4).min(Duration::from_secs(1));
        let settings = fill(
            &without_comments(include_str!("sql/session.sql")),
            &[
                ("statement_timeout", &milliseconds(request_timeout)),
                ("lock_timeout", &milliseconds(lock_timeout)),
            ],
        );
        let access = Access { origin: origin.clone(), settings };
        Self { sessions: Sessions::new(access, size, request_timeout) }
    }

    /// If the server has no room for more connections, those of `others` that nobody uses make it.
    pub(crate) fn preferred_to(self, others: &Self) -> Self {
        Self { sessions: self.sessions.preferred_to(&others.sessions) }
    }

    /// Runs one statement, in one round trip once it is prepared on the session.
    pub(crate) async fn query(
        &self,
        operation: Operation,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let run = async |session: &mut Session| {
            let statement = session.client.prepare_cached(sql).await?;
            session.client.query(&statement, parameters).await
        };
        self.sessions.call(operation, run).await
    }

    /// Runs statements without parameters; once more after a deadlock.
    pub(crate) async fn execute(&self, operation: Operation, sql: &str) -> Result<(), StoreError> {
        self.sessions.call(operation, async |session| session.client.batch_execute(sql).await).await
    }
}

/// How sessions are opened and prepared.
struct Access {
    origin: Pool,
    /// What a new session is told.
    settings: String,
}

impl Opener for Access {
    type Session = Session;
    type Error = DriverError;
    const BACKEND: &'static str = BACKEND;

    async fn open(&self) -> Result<Session, StoreError> {
        // The role's own statement_timeout may be shorter than things take the first time, or on a busy server: again, until
        // there is no more time to open a session. With `target_session_attrs` the driver asks something itself.
        let client = loop {
            match self.origin.manager().create().await {
                Err(error) if is_statement_timeout(&error) => {}
                created => break created.map_err(not_opened)?,
            }
        };
        let session = Session { client, origin: self.origin.clone() };
        let answers = loop {
            match session.client.simple_query(&self.settings).await {
                Err(error) if is_statement_timeout(&error) => {}
                answers => break answers.map_err(not_opened)?,
            }
        };
        let says = |what: &str| {
            answers.iter().any(|message| match message {
                SimpleQueryMessage::Row(row) => row.try_get(what).is_ok_and(|said| said == Some("t")),
                _ => false,
            })
        };
        let read_only = |why: &str| Err(failure(Operation::Connect, StoreErrorKind::ReadOnly, why));
        if says("standby") {
            return read_only("the server is a standby: pg_is_in_recovery() is true");
        }
        if says("fenced") {
            return read_only("the server or the database is read-only: default_transaction_read_only is on");
        }
        Ok(session)
    }

    fn is_open(session: &Session) -> bool {
        !session.client.is_closed()
    }

    fn failed(operation: Operation, error: DriverError) -> StoreError {
        call_failed(operation, error)
    }

    fn leaves_usable(error: &DriverError) -> bool {
        leaves_session_usable(error)
    }

    fn is_worth_another_try(error: &DriverError) -> bool {
        is_worth_another_try(error)
    }
}

/// A prepared session.
struct Session {
    client: ClientWrapper,
    origin: Pool,
}

impl Drop for Session {
    /// The application's manager keeps a list of its clients' caches of statements.
    fn drop(&mut self) {
        self.origin.manager().detach(&mut self.client);
    }
}
