//! A way to the server that one kind of calls has for itself: one connection at a time (in a Cluster: to each node), opened when
//! it is needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fred::error::Error as DriverError;
use fred::types::config::Server;
use futures_util::future::try_join_all;
use golock_core::backend::{all_or_error, ask_again};
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::answers::Reply;
use crate::error::{call_failed, failure, is_unknown_script};
use crate::opening::Opening;
use crate::scripts::Script;
use crate::servers::Servers;
use crate::session::{Call, Common, Flight, How, Landed, Session};

/// Calls of one kind share a connection, pipelined, and wait for no others.
pub(crate) struct Lane {
    pub(crate) servers: Arc<Servers>,
    may_evict: bool,
    common: Common,
    /// By the node of a Cluster; where there are none, the only one.
    sessions: Mutex<HashMap<Option<Server>, Opening<Arc<Session>>>>,
}

/// What is done to each name.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) operation: Operation,
    pub(crate) script: &'a Script,
    pub(crate) replicas: Option<Replicas>,
}

impl Lane {
    pub(crate) fn new(servers: Arc<Servers>, may_evict: bool, common: Common) -> Self {
        Self { servers, may_evict, common, sessions: Mutex::default() }
    }

    /// The connection to this node.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the opening to the next that needs it.
    pub(crate) async fn session(&self, node: Option<&Server>) -> Result<Arc<Session>, StoreError> {
        let session = {
            let within = self.servers.setup().within();
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.retain(|_, session| !session.is_over(within, |session| session.is_over()));
            sessions.entry(node.cloned()).or_insert_with(|| self.open(node)).outcome()
        };
        session.await
    }

    fn open(&self, node: Option<&Server>) -> Opening<Arc<Session>> {
        let (servers, node, may_evict) = (self.servers.clone(), node.cloned(), self.may_evict);
        Opening::new(async move { Session::open(&servers, node.as_ref(), may_evict).await.map(Arc::new) })
    }

    /// The connections to all servers that have keys.
    pub(crate) async fn sessions(&self) -> Result<Vec<Arc<Session>>, StoreError> {
        let Some(cluster) = self.servers.cluster() else { return Ok(vec![self.session(None).await?]) };
        let nodes = cluster.look(self.servers.setup()).await?.primaries();
        try_join_all(nodes.iter().map(|node| self.session(Some(node)))).await
    }

    /// Runs the script once for each call, all on their way at once, and has `replicas` (if any) confirm them.
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
        let (asked, calls): (_, Vec<_>) = (Asked { operation, script, replicas }, calls.iter().collect());
        let Landed { replies, replicas } = match self.servers.cluster() {
            Some(cluster) => self.run_in_cluster(cluster, asked, &calls).await?,
            None => {
                let session = self.session(None).await?;
                let Landed { replies, replicas } = self.run_on(&session, asked, false, &calls).await?;
                let told =
                    |reply: Result<_, _>| reply.map_err(|error| self.servers.call_failed(operation, error));
                Landed { replies: replies.into_iter().map(told).collect(), replicas }
            }
        };
        let outcomes = replies.into_iter().map(|reply| reply?.unless_refused(operation));
        Ok(Landed { replies: all_or_error(outcomes)?, replicas })
    }

    /// As [`run`](Self::run), on this connection.
    ///
    /// A script that the server does not know yet is sent along a second time; so is a call that the server's clock,
    /// which was set meanwhile, took to be late.
    pub(crate) async fn run_on(
        &self,
        session: &Session,
        Asked { operation, script, replicas }: Asked<'_>,
        asking: bool,
        calls: &[&Call],
    ) -> Result<Landed<Result<Reply, DriverError>>, StoreError> {
        let fly = async |how, calls: &[&Call]| {
            session
                .fly(Flight { script, how, asking, common: &self.common, calls, replicas })
                .await
                .map_err(|error| call_failed(operation, error))
        };
        let Landed { mut replies, mut replicas } = fly(How::BySha1, calls).await?;
        let is_open = |reply: &Result<_, _>| reply.as_ref().map_or_else(is_unknown_script, Reply::is_late);
        let again = async |calls: Vec<&Call>| {
            let second = fly(How::ByText, &calls).await?;
            replicas = second.replicas;
            Ok(second.replies)
        };
        ask_again(calls, &mut replies, is_open, again).await?;
        Ok(Landed { replies, replicas })
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

/// How many replicas have to confirm a grant or a renewal, and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replicas {
    pub(crate) count: u32,
    pub(crate) within: Duration,
}
