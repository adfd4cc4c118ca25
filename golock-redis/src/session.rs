//! A connection that locks can be had on, and what is sent over it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fred::error::{Error as DriverError, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::Server;
use fred::types::{ClusterHash, CustomCommand, Value};
use futures_util::future::try_join;
use golock_core::backend::ServerClock;
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::answers::Reply;
use crate::error::{call_failed, failure, is_answer, is_left_by_replicas, is_no_primary};
use crate::lane::Replicas;
use crate::link::{Link, ended};
use crate::scripts::Script;
use crate::servers::Servers;

pub(crate) struct Session {
    link: Link,
    /// All keys are on one node: many calls of a script may be one command.
    one_node: bool,
    /// Sentinels may know of another primary.
    has_sentinels: bool,
    clock: ServerClock,
    within: Duration,
    health: Mutex<Health>,
}

/// What is known of a connection.
#[derive(Clone, Copy, Default)]
enum Health {
    #[default]
    Fine,
    /// Since then it has been asked something without saying anything.
    Silent(Instant),
    Broken,
}

/// One call of a script: its key, and the arguments that are its own.
pub(crate) struct Call {
    pub(crate) key: String,
    pub(crate) arguments: Vec<Value>,
}

/// The arguments that all calls of a store have in common: how long hashes are kept, and the prefix of their keys.
pub(crate) type Common = [Value; 2];

/// Calls of one script that are sent together.
pub(crate) struct Flight<'a> {
    pub(crate) script: &'a Script,
    pub(crate) how: How,
    /// The node does not have these keys yet.
    pub(crate) asking: bool,
    pub(crate) common: &'a Common,
    pub(crate) calls: &'a [&'a Call],
    pub(crate) replicas: Option<Replicas>,
}

/// How the server is told which script.
#[derive(Clone, Copy)]
pub(crate) enum How {
    BySha1,
    ByText,
}

/// What came of calls that were sent together.
pub(crate) struct Landed<R> {
    /// In the order of the calls.
    pub(crate) replies: Vec<R>,
    /// How many replicas have confirmed them, if that was asked for; or why the server does not say.
    pub(crate) replicas: Result<Option<i64>, DriverError>,
}

type Command = (CustomCommand, Vec<Value>);
type Answers = Vec<Result<Value, DriverError>>;

impl Session {
    /// Opens a connection, to this node of a Cluster or to the one server, and looks whether locks are safe there.
    pub(crate) async fn open(
        servers: &Servers,
        node: Option<&Server>,
        may_evict: bool,
    ) -> Result<Self, StoreError> {
        let (link, within) = (servers.connect(node).await?, servers.setup().within());
        let (one_node, has_sentinels) = (node.is_none(), servers.has_sentinels());
        let (clock, health) = (ServerClock::default(), Mutex::default());
        let session = Self { link, one_node, has_sentinels, clock, within, health };
        let asked = try_join(session.read_clock(), session.info()).await;
        let ((), info) = asked.map_err(|error| call_failed(Operation::Connect, error))?;
        check(&info, one_node, may_evict)?;
        Ok(session)
    }

    /// It has ended, or says nothing any more.
    pub(crate) fn is_over(&self) -> bool {
        match *self.health() {
            Health::Fine => self.link.is_over(),
            Health::Silent(since) => self.link.is_over() || since.elapsed() > self.within / 2,
            Health::Broken => true,
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) async fn fly(
        &self,
        flight: Flight<'_>,
    ) -> Result<Landed<Result<Reply, DriverError>>, DriverError> {
        let deadline = match self.clock.deadline(Instant::now(), self.within) {
            Some(deadline) => deadline,
            None => {
                self.read_clock().await?;
                // Even a server so slow that its clock can't be known well enough is worth a try.
                self.clock.deadline(Instant::now(), self.within).unwrap_or(i64::MAX)
            }
        };
        // In a Cluster, keys of one command have to be in one slot.
        let together = if self.one_node { flight.calls.len() } else { 1 };
        // What a node is only getting it serves to whoever says so before each command.
        let asking = flight.asking.then(|| (command("ASKING"), Vec::new()));
        let each = 1 + usize::from(flight.asking);
        let mut commands: Vec<Command> = flight
            .calls
            .chunks(together.max(1))
            .flat_map(|calls| asking.clone().into_iter().chain([flight.command(calls, deadline)]))
            .collect();
        let sent = commands.len();
        commands.extend(flight.replicas.map(Replicas::command));
        let asked = Instant::now();
        let mut answers = self.exchange(commands).await?;
        let answered = Instant::now();
        let replicas = answers.drain(sent..).next();
        let answers = answers.into_iter().skip(each - 1).step_by(each);
        let asked_for = flight.calls.chunks(together.max(1)).map(<[_]>::len);
        let replies: Vec<_> =
            answers.zip(asked_for).flat_map(|(answer, calls)| one_each(answer, calls)).collect();
        if let Some(shown) = replies.iter().flatten().map(Reply::server_time).next() {
            self.clock.read(asked, answered, shown);
        }
        // The same address may lead to another server by now, but this connection never will.
        let is_elsewhere =
            |error: &_| is_no_primary(error) || self.has_sentinels && is_left_by_replicas(error);
        if replies.iter().any(|reply| reply.as_ref().is_err_and(is_elsewhere)) {
            *self.health() = Health::Broken;
        }
        let replicas = replicas.transpose().map(|confirmed| confirmed.and_then(|number| number.as_i64()));
        Ok(Landed { replies, replicas })
    }

    async fn read_clock(&self) -> Result<(), DriverError> {
        let asked = Instant::now();
        let mut answers = self.exchange(vec![(command("TIME"), Vec::new())]).await?;
        let answered = Instant::now();
        let (seconds, micros): (i64, i64) = answers.remove(0)?.convert()?;
        self.clock.read(asked, answered, seconds.saturating_mul(1_000_000).saturating_add(micros));
        Ok(())
    }

    /// What the server says of itself. Who may not ask finds out at the first lock, or never.
    async fn info(&self) -> Result<String, DriverError> {
        match self.answer(self.link.ask("INFO", &[])).await {
            Ok(info) => Ok(String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned()),
            Err(error) if is_answer(&error) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// Sends commands together; one answer each, in their order.
    async fn exchange(&self, commands: Vec<Command>) -> Result<Answers, DriverError> {
        let expected = commands.len();
        let pipeline = self.link.client().pipeline();
        for (command, arguments) in commands {
            // This only puts it down; nothing is sent yet.
            pipeline.custom::<Value, _>(command, arguments).await?;
        }
        self.answer(async {
            let answers = pipeline.try_all::<Value>().await;
            let is_answer = |answer: &Result<_, _>| answer.as_ref().err().is_none_or(is_answer);
            if answers.len() == expected && answers.iter().any(is_answer) {
                return Ok(answers);
            }
            // One error for all.
            Err(answers.into_iter().find_map(Result::err).unwrap_or_else(ended))
        })
        .await
    }

    /// The answer to what is asked on this connection, if it lives so long.
    pub(crate) async fn answer<T>(
        &self,
        asking: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        {
            let mut health = self.health();
            if let Health::Fine = *health {
                *health = Health::Silent(Instant::now());
            }
        }
        let answer = self.link.unless_over(asking).await.unwrap_or_else(|| Err(ended()));
        let found = match &answer {
            Ok(_) => Health::Fine,
            Err(error) if is_answer(error) => Health::Fine,
            // Silence, for now.
            Err(error) if *error.kind() == ErrorKind::Timeout => return answer,
            Err(_) => Health::Broken,
        };
        let mut health = self.health();
        // The answer to something else mends nothing.
        if !matches!(*health, Health::Broken) {
            *health = found;
        }
        answer
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight<'_> {
    /// One command for these calls: see `lua/prelude.lua`.
    fn command(&self, calls: &[&Call], deadline: i64) -> Command {
        let (name, script) = match self.how {
            How::BySha1 => ("EVALSHA", &self.script.sha1),
            How::ByText => ("EVAL", &self.script.text),
        };
        let own = calls.first().map_or(0, |first| first.arguments.len());
        let mut arguments = Vec::with_capacity(6 + calls.len() * (1 + own));
        arguments.extend([script.as_str().into(), count(calls.len())]);
        arguments.extend(calls.iter().map(|call| Value::from(call.key.as_str())));
        arguments.extend([count(own), deadline.into()]);
        arguments.extend(self.common.iter().cloned());
        arguments.extend(calls.iter().flat_map(|call| call.arguments.iter().cloned()));
        (command(name), arguments)
    }
}

/// What was answered to a command, for each of its calls.
fn one_each(answer: Result<Value, DriverError>, calls: usize) -> Vec<Result<Reply, DriverError>> {
    let error = match answer {
        Ok(Value::Array(each)) if each.len() == calls => return each.into_iter().map(Reply::new).collect(),
        Ok(_) => DriverError::new(ErrorKind::Parse, "not one answer for each call"),
        Err(error) => error,
    };
    (0..calls).map(|_| Err(error.clone())).collect()
}

fn count(number: usize) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

impl Replicas {
    /// It waits for all that this connection has written so far.
    fn command(self) -> Command {
        // Zero would be for ever.
        let milliseconds = i64::try_from(self.within.as_millis()).unwrap_or(i64::MAX).max(1);
        (command("WAIT"), vec![i64::from(self.count).into(), milliseconds.into()])
    }
}

fn command(name: &'static str) -> CustomCommand {
    CustomCommand::new_static(name, ClusterHash::Random, false)
}

/// Whether locks are safe on a server that says this of itself, and is to be the only one that has keys.
fn check(info: &str, one_node: bool, may_evict: bool) -> Result<(), StoreError> {
    let field = |name: &str| {
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned());
        info.lines().find_map(value).unwrap_or_default()
    };
    if one_node && field("cluster_enabled") == "1" {
        let why = "the server is a node of a Cluster: redis-cluster://";
        return Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
    }
    // What has this node's address now knows nothing of what the Cluster holds: who has its slots is to be asked anew.
    if !one_node && field("cluster_enabled") == "0" {
        let why = "the server is no node of a Cluster (any more)";
        return Err(failure(Operation::Connect, StoreErrorKind::Unavailable, why));
    }
    // That of a Cluster says who is the primary.
    if one_node && field("role") == "slave" {
        let why = "the server is a replica: role:slave";
        return Err(failure(Operation::Connect, StoreErrorKind::ReadOnly, why));
    }
    let policy = field("maxmemory_policy");
    let is_limited = !matches!(&*field("maxmemory"), "" | "0");
    if !may_evict && is_limited && !matches!(&*policy, "" | "noeviction") {
        let why = format!(
            "maxmemory-policy is {policy}: the server may delete locks that are held; set noeviction"
        );
        return Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use golock_core::store::StoreErrorKind as Kind;

    use super::check;

    #[test]
    fn servers_that_may_delete_locks_are_refused_by_the_settings_name() {
        let info =
            |maxmemory, policy| format!("# Memory\r\nmaxmemory:{maxmemory}\r\nmaxmemory_policy:{policy}\r\n");
        assert!(check(&info("0", "allkeys-lru"), true, false).is_ok(), "without a limit nothing is evicted");
        assert!(check(&info("1000", "noeviction"), true, false).is_ok());
        assert!(check(&info("1000", "volatile-ttl"), true, true).is_ok());
        let error = check(&info("1000", "volatile-ttl"), true, false).unwrap_err();
        assert_eq!(error.kind(), Kind::Configuration);
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("maxmemory-policy"));
    }

    #[test]
    fn replicas_are_refused() {
        let error = check("# Replication\r\nrole:slave\r\n", true, false).unwrap_err();
        assert_eq!(error.kind(), Kind::ReadOnly);
        assert!(check("# Replication\r\nrole:master\r\n", true, false).is_ok());
        assert!(check("", true, false).is_ok(), "nothing may be known");
    }

    #[test]
    fn nodes_of_a_cluster_are_refused_where_one_server_was_named() {
        let info = "# Replication\r\nrole:slave\r\n# Cluster\r\ncluster_enabled:1\r\n";
        assert_eq!(check(info, true, false).unwrap_err().kind(), Kind::Configuration);
        assert!(check(info, false, false).is_ok(), "it says who has the keys");
        assert!(check("# Cluster\r\ncluster_enabled:0\r\n", true, false).is_ok());
    }

    /// Its address may have been given to a server that has nothing to do with the Cluster.
    #[test]
    fn servers_of_their_own_are_refused_where_a_node_was_named() {
        let error = check("# Cluster\r\ncluster_enabled:0\r\n", false, false).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "another node may be asked");
    }
}
