//! A connection with a thread of its own: SQLite's calls block, and a call that nobody waits for any more is still
//! finished here, so that no connection is left in the middle of one.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::connection::{Opener, Session, written};
use crate::error::failure;
use crate::limits::Limits;
use crate::statements::{Rows, Statements};

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// Calls for one purpose, one after the other: whoever makes one waits only for others with the same purpose.
pub(crate) struct Lane {
    /// What its thread is called.
    name: &'static str,
    opener: Arc<Opener>,
    statements: Arc<Statements>,
    request_timeout: Duration,
    /// To the thread, which ends, and closes its connection, when this is dropped. None until the first call.
    jobs: Mutex<Option<Sender<Job>>>,
}

impl Lane {
    /// Neither a thread is started nor a file opened before the first call.
    pub(crate) fn new(
        name: &'static str,
        opener: Opener,
        statements: Arc<Statements>,
        request_timeout: Duration,
    ) -> Self {
        Self { name, opener: Arc::new(opener), statements, request_timeout, jobs: Mutex::default() }
    }

    /// What `work` found, each statement by itself. It may be called twice, if it fails because there is no table yet.
    ///
    /// If this future is dropped before the thread has come to it, it is never begun.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl Fn(&Rows<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(operation, move |connection, statements| work(&Rows { connection, statements })).await
    }

    /// As [`read`](Self::read), but in one transaction that may write: see [`written`].
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl Fn(&Rows<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(operation, move |connection, statements| {
            written(connection, |connection| work(&Rows { connection, statements }))
        })
        .await
    }

    async fn call<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl Fn(&mut Connection, &Statements) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let statements = Arc::clone(&self.statements);
        let limits = Limits::of(self.request_timeout);
        self.enqueue(Box::new(move |session| {
            if reply.is_closed() {
                return;
            }
            let outcome = if limits.are_over() {
                // Sure that nothing was done, which a timeout of the caller's would not be.
                Err(failure(operation, StoreErrorKind::Conflict, "other calls of this store took too long"))
            } else {
                limits.enter();
                session.run(operation, |connection| work(connection, &statements))
            };
            // Who has gone away meanwhile has no use for it.
            let _ = reply.send(outcome);
        }))
        .map_err(|error| failure(operation, StoreErrorKind::Unavailable, error))?;
        let ended =
            |_| Err(failure(operation, StoreErrorKind::Other, "the connection's thread has panicked"));
        answer.await.unwrap_or_else(ended)
    }

    fn enqueue(&self, job: Job) -> io::Result<()> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = match &*jobs {
            None => job,
            Some(thread) => match thread.send(job) {
                Ok(()) => return Ok(()),
                // The thread has panicked: another takes its place.
                Err(mpsc::SendError(job)) => job,
            },
        };
        let (send, receive) = mpsc::channel();
        let mut session = Session::new(Arc::clone(&self.opener));
        // Until the lane is dropped, and what was asked of it is done.
        let work_off = move || receive.into_iter().for_each(|job: Job| job(&mut session));
        thread::Builder::new().name(self.name.to_owned()).spawn(work_off)?;
        // It listens: it has only just been started.
        let _ = send.send(job);
        *jobs = Some(send);
        Ok(())
    }
}
