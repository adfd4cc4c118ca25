//! A server of Redis or Valkey, as ground for the suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use golock_conformance::{BoxError, Damage};
use golock_core::{FencingToken, LockName, LockStore};
use golock_redis::fred::interfaces::ClientLike;
use golock_redis::fred::types::{ClusterHash, CustomCommand, Value};
use golock_redis::{RedisStore, ToolConnection};

use super::Ground;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Redis(url.to_owned()))
}

/// What the server answers to a command as one types it.
pub(crate) async fn ask(connection: &ToolConnection, words: &[&str]) -> Result<Value, BoxError> {
    let (name, arguments) = words.split_first().ok_or("no command")?;
    let command = CustomCommand::new((*name).to_owned(), ClusterHash::Random, false);
    let arguments: Vec<Value> = arguments.iter().map(|word| (*word).into()).collect();
    Ok(connection.client().custom(command, arguments).await?)
}

pub(crate) const WITHIN: Duration = Duration::from_secs(10);

struct Redis(String);

impl Redis {
    async fn run(&self, words: &[&str]) -> Result<Value, BoxError> {
        ask(&ToolConnection::open(&self.0, WITHIN).await?, words).await
    }
}

#[async_trait]
impl Ground for Redis {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        if self.0.contains("-cluster://") {
            return Err("golock verify wants a single server: it could not clean up a Cluster".into());
        }
        Ok(Arc::new(RedisStore::builder().prefix(format!("{space}:")).connect(&self.0).await?))
    }
}

#[async_trait]
impl Damage for Redis {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.run(&["DEL", &format!("{space}:{name}")]).await.map(drop)
    }

    /// Page by page, for there may be other keys, and many.
    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        let connection = ToolConnection::open(&self.0, WITHIN).await?;
        let pattern = format!("{space}:*");
        let mut cursor = "0".to_owned();
        loop {
            let page = ask(&connection, &["SCAN", &cursor, "MATCH", &pattern, "COUNT", "1000"]).await?;
            let (next, keys): (String, Vec<String>) = page.convert()?;
            if !keys.is_empty() {
                let words: Vec<&str> = ["DEL"].into_iter().chain(keys.iter().map(String::as_str)).collect();
                ask(&connection, &words).await?;
            }
            cursor = next;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        self.run(&["HSET", &format!("{space}:{name}"), "token", &token.to_string()]).await.map(drop)
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.delete_all(space).await
    }
}
