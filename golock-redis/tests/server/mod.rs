//! An administrator's connection to the server that the tests run on.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::expect_used, reason = "a test says what it expects")]

use golock_redis::fred::clients::Client;
use golock_redis::fred::error::Error;
use golock_redis::fred::interfaces::ClientLike;
use golock_redis::fred::types::config::Config;
use golock_redis::fred::types::{ClusterHash, CustomCommand, Value};

/// A connection of the administrator's, closed when it is dropped.
pub(crate) struct Admin(Client);

impl Admin {
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        let client = Client::new(Config::from_url(url)?, None, None, None);
        client.init().await?;
        Ok(Self(client))
    }

    /// A command as one types it; its answer, that of a list with a line an element.
    pub(crate) async fn run(&self, words: &[&str]) -> Result<String, Error> {
        let (name, arguments) = words.split_first().expect("a command has a name");
        let command = CustomCommand::new((*name).to_owned(), ClusterHash::Random, false);
        let arguments: Vec<Value> = arguments.iter().map(|word| (*word).into()).collect();
        Ok(match self.0.custom(command, arguments).await? {
            Value::Array(lines) => lines.iter().map(|line| format!("{line:?}\n")).collect(),
            answer => answer.into_string().unwrap_or_default(),
        })
    }

    /// Makes a user that may do what `rules` say and no more.
    pub(crate) async fn user(&self, name: &str, password: &str, rules: &str) -> Result<(), Error> {
        let password = format!(">{password}");
        let words = ["ACL", "SETUSER", name, "reset", "on", &*password].into_iter().chain(rules.split(' '));
        self.run(&words.collect::<Vec<_>>()).await.map(drop)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let client = self.0.clone();
        tokio::spawn(async move { client.quit().await });
    }
}
