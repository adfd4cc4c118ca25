//! The databases, each with its contenders and with what the workloads ask of its server.

mod mongo;
mod mysql;
mod postgres;
mod redis;

use std::time::Duration;

use async_trait::async_trait;

use crate::contender::{BoxError, Entry};
use crate::servers::Kind;

#[async_trait]
pub(crate) trait Database: Send + Sync {
    /// The server that is started for it; its id is the backend's name in all results.
    fn kind(&self) -> &'static Kind;

    fn contenders(&self) -> &'static [Entry];

    /// Makes a real request, and the tables of the hand-written contenders. Repeated until it succeeds.
    async fn prepare(&self, url: &str) -> Result<(), BoxError>;

    /// What the server calls itself.
    async fn version(&self, url: &str) -> Result<String, BoxError>;

    /// How long the smallest request takes, so many times in a row.
    async fn round_trips(&self, url: &str, samples: usize) -> Result<Vec<Duration>, BoxError>;

    /// The server's own count of commands, if it is exact. Elsewhere the proxy counts.
    async fn counter(&self, _url: &str) -> Result<Option<Box<dyn Counter>>, BoxError> {
        Ok(None)
    }

    /// Puts so many names, all of them free, into golock's table `space`, which is there. Their names: [`row`].
    async fn fill(&self, url: &str, space: &str, rows: usize) -> Result<(), BoxError>;
}

/// Counts on a connection of its own, which is there before anything is counted.
#[async_trait]
pub(crate) trait Counter: Send + Sync {
    /// How many commands of lock clients the server has seen so far.
    async fn commands(&self) -> Result<u64, BoxError>;
}

/// The name of a row put there by [`Database::fill`].
pub(crate) fn row(number: usize) -> String {
    format!("row-{number:08}")
}

/// Every database that can be measured, in the order of the tables.
pub(crate) const ALL: &[&dyn Database] =
    &[&redis::Redis, &postgres::Postgres, &mysql::MARIADB, &mysql::MYSQL, &mongo::Mongo];

pub(crate) fn find(id: &str) -> Option<&'static dyn Database> {
    ALL.iter().copied().find(|database| database.kind().id == id)
}

/// The same URL, but the connections go to `address`.
pub(crate) fn at(url: &str, address: impl std::fmt::Display) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (format!("{user}@"), place),
        None => (String::new(), rest),
    };
    let options = place.find(['/', '?']).map_or("", |end| &place[end..]);
    format!("{scheme}://{user}{address}{options}")
}

/// `host:port` of a URL.
pub(crate) fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    place.split(['/', '?']).next().unwrap_or(place)
}

#[cfg(test)]
mod tests {
    use super::{address, at};

    #[test]
    fn a_url_is_led_through_the_proxy_with_its_user_and_options() {
        let url = "postgres://user:pass@127.0.0.1:5432/base?x=1";
        assert_eq!(at(url, "127.0.0.1:7"), "postgres://user:pass@127.0.0.1:7/base?x=1");
        assert_eq!(at("redis://127.0.0.1:6379", "127.0.0.1:7"), "redis://127.0.0.1:7");
        assert_eq!(address(url), "127.0.0.1:5432");
        assert_eq!(address("redis://127.0.0.1:6379"), "127.0.0.1:6379");
    }
}
