//! Redis.

mod peers;
mod push;
mod raw;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use golock_redis::RedisStore;
use golock_redis::fred::clients::Client;
use golock_redis::fred::interfaces::ClientLike;
use golock_redis::fred::types::config::Config;
use golock_redis::fred::types::{ClusterHash, CustomCommand, Value};

use super::{Counter, Database, row};
use crate::contender::{BoxError, Contender, Entry, Place, Role};
use crate::golock::Golock;
use crate::servers::{self, Kind};

pub(crate) struct Redis;

const CONTENDERS: &[Entry] = &[
    Entry::new("golock", Role::Golock, |place| Box::pin(golock(place))).renewing(),
    Entry::new("raw", Role::Floor, |place| Box::pin(raw::open(place))),
    Entry::new("push", Role::Push, |place| Box::pin(push::open(place))),
    Entry::new("rslock", Role::Peer, |place| Box::pin(peers::rslock(place))),
    Entry::new("redis-lock", Role::Peer, |place| Box::pin(peers::redis_lock(place))),
    Entry::new("distributed-lock", Role::Peer, |place| Box::pin(peers::distributed_lock(place))).renewing(),
];

#[async_trait]
impl Database for Redis {
    fn kind(&self) -> &'static Kind {
        &servers::REDIS
    }

    fn contenders(&self) -> &'static [Entry] {
        CONTENDERS
    }

    async fn prepare(&self, url: &str) -> Result<(), BoxError> {
        run(&connect(url).await?, &["PING"]).await.map(drop)
    }

    async fn version(&self, url: &str) -> Result<String, BoxError> {
        let info = run(&connect(url).await?, &["INFO", "server"]).await?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(format!("Redis {}", version.unwrap_or("?").trim()))
    }

    async fn round_trips(&self, url: &str, samples: usize) -> Result<Vec<Duration>, BoxError> {
        let client = connect(url).await?;
        let mut took = Vec::with_capacity(samples);
        for _ in 0..samples {
            let begun = Instant::now();
            client.ping::<()>(None).await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    async fn counter(&self, url: &str) -> Result<Option<Box<dyn Counter>>, BoxError> {
        Ok(Some(Box::new(CommandStats(connect(url).await?))))
    }

    async fn fill(&self, url: &str, space: &str, rows: usize) -> Result<(), BoxError> {
        let client = connect(url).await?;
        let script = "for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
                          redis.call('HSET', ARGV[1] .. string.format('row-%08d', number),
                              'token', '1', 'lock_by', '-', 'locked_at', '0', 'expires_at', '0')
                      end";
        for first in (0..rows).step_by(FILLED_AT_ONCE) {
            let last = (first + FILLED_AT_ONCE).min(rows) - 1;
            let (first, last) = (first.to_string(), last.to_string());
            run(&client, &["EVAL", script, "0", &prefix(space), &first, &last]).await?;
        }
        debug_assert_eq!(row(7), "row-00000007");
        Ok(())
    }
}

struct CommandStats(Client);

#[async_trait]
impl Counter for CommandStats {
    /// Scripts, functions and the bare commands that clients send. What scripts call is not among them.
    async fn commands(&self) -> Result<u64, BoxError> {
        const SENT: [&str; 6] = ["set", "eval", "evalsha", "fcall", "subscribe", "ping"];
        let info = run(&self.0, &["INFO", "commandstats"]).await?;
        let counted = info.lines().filter_map(|line| {
            let (name, values) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            SENT.contains(&name).then(|| values.split(',').next()?.parse::<u64>().ok())?
        });
        Ok(counted.sum())
    }
}

const FILLED_AT_ONCE: usize = 10_000;

fn prefix(space: &str) -> String {
    format!("{space}:")
}

async fn golock(place: Place) -> Result<std::sync::Arc<dyn Contender>, BoxError> {
    let store = RedisStore::builder().prefix(prefix(&place.space)).connect(&place.url).await?;
    Ok(Golock::over(store, place.lease))
}

/// One multiplexed connection, on which the commands of all tasks are pipelined.
async fn connect(url: &str) -> Result<Client, BoxError> {
    let client = Client::new(Config::from_url(url)?, None, None, None);
    client.init().await?;
    Ok(client)
}

/// A command as one types it.
async fn run(client: &Client, words: &[&str]) -> Result<String, BoxError> {
    let (name, arguments) = words.split_first().ok_or("a command has a name")?;
    let command = CustomCommand::new((*name).to_owned(), ClusterHash::Random, false);
    let arguments: Vec<Value> = arguments.iter().map(|word| (*word).into()).collect();
    let answer: Value = client.custom(command, arguments).await?;
    Ok(answer.into_string().unwrap_or_default())
}
