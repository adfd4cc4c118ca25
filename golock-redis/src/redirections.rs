//! Calls in a Cluster: each goes to the node that has its key, by what is known; and where that says that another has it by now, to
//! that one.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::Arc;

use fred::error::Error as DriverError;
use fred::types::config::Server;
use futures_util::future::join_all;
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::answers::Reply;
use crate::cluster::{Cluster, Map};
use crate::error::{call_failed, failure};
use crate::lane::{Asked, Lane};
use crate::session::{Call, Landed};
use crate::setup::Setup;

/// How often a call is sent on: from a node that had the key, to one that gives it away, to one that gets it, is twice.
const REDIRECTIONS: usize = 4;

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Way {
    node: Server,
    /// The node is getting the slot, and serves whoever says to know that (ASKING): the other has this key no more.
    asking: bool,
}

/// Calls on their way, and what has come of them so far.
struct Journey<'a> {
    asked: Asked<'a>,
    calls: &'a [&'a Call],
    /// In the order of the calls.
    replies: Vec<Result<Reply, StoreError>>,
    replicas: Result<Option<i64>, DriverError>,
    /// Which are to be sent next, and where.
    open: Vec<(usize, Way)>,
    /// All ways that any of them has gone.
    gone: HashSet<Way>,
}

impl Lane {
    pub(crate) async fn run_in_cluster(
        &self,
        cluster: &Cluster,
        asked: Asked<'_>,
        calls: &[&Call],
    ) -> Result<Landed<Result<Reply, StoreError>>, StoreError> {
        let keys = calls.iter().map(|call| &*call.key);
        let map = cluster.map_with(self.servers.setup(), keys).await?;
        let mut journey = Journey::new(asked, calls, &map);
        for _ in 0..=REDIRECTIONS {
            let sent = journey.stage();
            if sent.is_empty() {
                break;
            }
            let outcomes = join_all(sent.into_iter().map(|(way, places)| async move {
                let calls: Vec<_> = places.iter().map(|&at| calls[at]).collect();
                (self.run_at(&way, asked, &calls).await, way, places)
            }));
            let mut teller = None;
            for (outcome, way, places) in outcomes.await {
                match outcome {
                    Ok(landed) => {
                        let some_moved = journey.landed(self.servers.setup(), &way, places, landed);
                        teller = some_moved.then_some(way.node).or(teller);
                    }
                    Err(error) => {
                        cluster.miss(&way.node);
                        journey.failed(&way, places, error);
                    }
                }
            }
            // It knows more than those slots, and by what name each node is called.
            if let Some(teller) = teller
                && let Some(map) = self.map_of(cluster, &teller).await
            {
                journey.follow(&map);
            }
        }
        Ok(Landed { replies: journey.replies, replicas: journey.replicas })
    }

    async fn run_at(
        &self,
        way: &Way,
        asked: Asked<'_>,
        calls: &[&Call],
    ) -> Result<Landed<Result<Reply, DriverError>>, StoreError> {
        let session = self.session(Some(&way.node)).await?;
        self.run_on(&session, asked, way.asking, calls).await
    }

    /// Who has which slots, by this node.
    async fn map_of(&self, cluster: &Cluster, teller: &Server) -> Option<Arc<Map>> {
        let session = self.session(Some(teller)).await.ok()?;
        let map = Arc::new(Map::told_by(self.servers.setup(), session.link(), teller).await.ok()?);
        cluster.learn(map.clone());
        Some(map)
    }
}

impl<'a> Journey<'a> {
    fn new(asked: Asked<'a>, calls: &'a [&'a Call], map: &Map) -> Self {
        let replies = calls.iter().map(|call| Err(unserved(asked.operation, &call.key))).collect();
        let open = (0..)
            .zip(calls)
            .filter_map(|(at, call)| Some((at, Way { node: map.owner(&call.key)?.clone(), asking: false })))
            .collect();
        Self { asked, calls, replies, replicas: Ok(None), open, gone: HashSet::new() }
    }

    /// What is sent now: those that go the same way together.
    fn stage(&mut self) -> HashMap<Way, Vec<usize>> {
        let mut by_way: HashMap<Way, Vec<usize>> = HashMap::new();
        for (at, way) in self.open.drain(..) {
            by_way.entry(way).or_default().push(at);
        }
        self.gone.extend(by_way.keys().cloned());
        by_way
    }

    /// Whether the node says of some that another has them by now.
    fn landed(
        &mut self,
        setup: &Setup,
        way: &Way,
        places: Vec<usize>,
        landed: Landed<Result<Reply, DriverError>>,
    ) -> bool {
        // A node that has executed nothing has nothing to be confirmed.
        if landed.replies.iter().any(Result::is_ok) {
            self.replicas = fewer(self.replicas.clone(), landed.replicas);
        }
        let mut some_moved = false;
        for (at, reply) in places.into_iter().zip(landed.replies) {
            match reply.as_ref().err().and_then(|error| redirection(error, &way.node)) {
                Some(mut to) => {
                    some_moved |= !to.asking;
                    setup.name_for_tls(&mut to.node, &way.node);
                    self.open.push((at, to));
                }
                None => self.replies[at] = reply.map_err(|error| call_failed(self.asked.operation, error)),
            }
        }
        some_moved
    }

    fn failed(&mut self, way: &Way, places: Vec<usize>, error: StoreError) {
        // What is wrong with one node says nothing of what others have.
        let error = if self.gone.len() > 1 { of_one_node(&error, way) } else { error };
        places.into_iter().for_each(|at| self.replies[at] = Err(error.clone()));
    }

    fn follow(&mut self, map: &Map) {
        for (at, way) in self.open.iter_mut().filter(|(_, way)| !way.asking) {
            if let Some(owner) = map.owner(&self.calls[*at].key) {
                way.node = owner.clone();
            }
        }
    }
}

/// Where a server that has not executed a call says that it belongs.
fn redirection(error: &DriverError, teller: &Server) -> Option<Way> {
    let mut words = error.details().split(' ');
    let asking = match words.next()? {
        "MOVED" => false,
        "ASK" => true,
        _ => return None,
    };
    let (host, port) = words.nth(1)?.rsplit_once(':')?;
    // It does not always say its own, nor know another's.
    let host = if matches!(host, "" | "?") { &*teller.host } else { host };
    Some(Way { node: Server::new(host.to_owned(), port.parse().ok()?), asking })
}

fn unserved(operation: Operation, key: &str) -> StoreError {
    let why =
        format!("no node of the Cluster has the slot of {key:?} for now, or it goes from one to the other");
    failure(operation, StoreErrorKind::Conflict, why)
}

/// For the engine: the others may be asked for by themselves.
fn of_one_node(error: &StoreError, way: &Way) -> StoreError {
    let why = error.source().map(ToString::to_string).unwrap_or_default();
    failure(error.operation(), StoreErrorKind::Timeout, format!("{}: {}: {why}", way.node, error.kind()))
}

fn fewer(
    one: Result<Option<i64>, DriverError>,
    other: Result<Option<i64>, DriverError>,
) -> Result<Option<i64>, DriverError> {
    let (one, other) = (one?, other?);
    Ok(one.into_iter().chain(other).min())
}

#[cfg(test)]
mod tests {
    use fred::error::{Error as DriverError, ErrorKind};
    use fred::types::config::Server;

    use super::{Way, redirection};

    #[test]
    fn servers_say_who_has_a_key() {
        let way = |host: &str, port, asking| Some(Way { node: Server::new(host.to_owned(), port), asking });
        for (reply, to) in [
            ("MOVED 3999 127.0.0.1:6381", way("127.0.0.1", 6381, false)),
            ("ASK 3999 node-2.example.com:6381", way("node-2.example.com", 6381, true)),
            ("MOVED 3999 ::1:6381", way("::1", 6381, false)),
            ("MOVED 3999 :6381", way("teller", 6381, false)),
            ("ASK 3999 ?:6381", way("teller", 6381, true)),
            ("TRYAGAIN Multiple keys request during rehashing of slot", None),
            ("MOVED", None),
        ] {
            let error = DriverError::new(ErrorKind::Cluster, reply);
            assert_eq!(redirection(&error, &Server::new("teller", 6379)), to, "{reply}");
        }
    }
}
