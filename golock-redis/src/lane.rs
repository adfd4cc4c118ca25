//! A way to the server that one kind of calls has for itself: one connection at a time, opened when it is needed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use golock_core::backend::{all_or_error, ask_again};
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::answers::Reply;
use crate::error::{call_failed, failure, is_unknown_script};
use crate::link::Setup;
use crate::scripts::Script;
use crate::session::{Call, Common, Flight, How, Landed, Session};

/// Calls of one kind share a connection, pipelined, and wait for no others.
pub(crate) struct Lane {
    setup: Arc<Setup>,
    within: Duration,
    may_evict: bool,
    common: Common,
    opening: Mutex<Option<Opening>>,
}

/// A connection that is open, or is being opened by whoever needs it, for all that do.
struct Opening {
    begun: Instant,
    session: Shared<BoxFuture<'static, Result<Arc<Session>, StoreError>>>,
}

impl Lane {
    pub(crate) fn new(setup: Arc<Setup>, within: Duration, may_evict: bool, common: Common) -> Self {
        Self { setup, within, may_evict, common, opening: Mutex::default() }
    }

    /// The connection.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the opening to the next that needs it.
    pub(crate) async fn session(&self) -> Result<Arc<Session>, StoreError> {
        let session = {
            let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
            match opening.as_ref().filter(|opening| !opening.is_over(self.within)) {
                Some(opening) => opening.session.clone(),
                None => opening.insert(self.open()).session.clone(),
            }
        };
        session.await
    }

    fn open(&self) -> Opening {
        let (setup, within, may_evict) = (self.setup.clone(), self.within, self.may_evict);
        let session = async move { Session::open(&setup, within, may_evict).await.map(Arc::new) };
        Opening { begun: Instant::now(), session: session.boxed().shared() }
    }

    /// Runs the script once for each call, all on their way at once, and has `replicas` (if any) confirm them.
    ///
    /// A script that the server does not know yet is sent along a second time; so is a call that the server's clock,
    /// which was set meanwhile, took to be late.
    pub(crate) async fn run(
        &self,
        operation: Operation,
        script: &Script,
        calls: &[Call],
        replicas: Option<Replicas>,
    ) -> Result<Landed<Reply>, StoreError> {
        if calls.is_empty() {
            return Ok(Landed {
                replies: Vec::new(),
                replicas: Ok(replicas.map(|wanted| wanted.count.into())),
            });
        }
        let session = self.session().await?;
        let all: Vec<&Call> = calls.iter().collect();
        let fly = async |how, calls: &[&Call]| {
            session
                .fly(Flight { script, how, common: &self.common, calls, replicas })
                .await
                .map_err(|error| call_failed(operation, error))
        };
        let Landed { mut replies, mut replicas } = fly(How::BySha1, &all).await?;
        let is_open = |reply: &Result<_, _>| reply.as_ref().map_or_else(is_unknown_script, Reply::is_late);
        let again = async |calls: Vec<&Call>| {
            let second = fly(How::ByText, &calls).await?;
            replicas = second.replicas;
            Ok(second.replies)
        };
        ask_again(&all, &mut replies, is_open, again).await?;
        let outcomes = replies.into_iter().map(|reply| match reply {
            Ok(reply) => reply.unless_refused(operation),
            Err(error) => Err(call_failed(operation, error)),
        });
        Ok(Landed { replies: all_or_error(outcomes)?, replicas })
    }

    /// As [`run`](Self::run), for one call.
    pub(crate) async fn run_one(
        &self,
        operation: Operation,
        script: &Script,
        call: Call,
    ) -> Result<Reply, StoreError> {
        let mut landed = self.run(operation, script, &[call], None).await?;
        landed.replies.pop().ok_or_else(|| failure(operation, StoreErrorKind::Other, "no answer to a call"))
    }
}

impl Opening {
    /// It failed, or what was opened has ended, or nobody has needed it for so long that its timeouts are over.
    fn is_over(&self, within: Duration) -> bool {
        match self.session.peek() {
            Some(Ok(session)) => session.is_over(),
            Some(Err(_)) => true,
            None => self.begun.elapsed() > within,
        }
    }
}

/// How many replicas have to confirm a grant or a renewal, and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replicas {
    pub(crate) count: u32,
    pub(crate) within: Duration,
}
