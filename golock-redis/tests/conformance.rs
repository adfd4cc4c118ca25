//! The whole suite over Redis and Valkey.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use fred::clients::{Client, Pool};
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::{Config, ReconnectPolicy};
use fred::types::scan::ScanType;
use fred::types::{ClusterHash, CustomCommand, Key, Value};
use golock_conformance::{
    Abilities, Application, BoxError, Connections, Damage, Fault, Fixture, Guard, Misconfigured, PoolOfOne,
    Restart, SmallPool, Through, async_trait,
};
use golock_core::{FencingToken, LockName, LockStore};
use golock_redis::RedisStore;

fn main() -> ExitCode {
    golock_conformance::main(vec![scratch("redis"), scratch("valkey")])
}

fn scratch(id: &'static str) -> golock_conformance::Target {
    golock_conformance::Target::lazy(id, async move {
        let url = std::env::var(format!("GOLOCK_TEST_{}_URL", id.to_uppercase()));
        let url = url.map_err(|_| golock_conformance::Unopened::Missing("no URL".to_owned()))?;
        Ok(golock_conformance::Opened::new(Redis { server: Server { id, url } }))
    })
}

struct Server {
    id: &'static str,
    url: String,
}

impl Server {
    fn id(&self) -> &'static str { self.id }
    fn url(&self) -> &str { &self.url }
    fn address(&self) -> String { self.url.trim_start_matches("redis://").to_owned() }
    fn can_restart(&self) -> Result<(), &'static str> { Ok(()) }
    async fn restart(&self) -> Result<(), BoxError> {
        let name = format!("gr-{}", self.id);
        tokio::process::Command::new("docker").args(["kill", "-s", "KILL", &name]).output().await?;
        tokio::process::Command::new("docker").args(["start", &name]).output().await?;
        loop {
            if let Ok(client) = open(&self.url).await && client.custom::<Value, Value>(command("PING"), vec![]).await.is_ok() { return Ok(()) }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

struct Redis {
    server: Server,
}

#[async_trait]
impl Fixture for Redis {
    fn name(&self) -> &str {
        self.server.id()
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        store(self.server.url(), space).await
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities {
            damage: Ok(self),
            row_lock: Err("Redis has no transactions that lock rows"),
            restart: self.server.can_restart().map(|()| self as &dyn Restart),
            connections: Ok(self),
            through: Ok(self),
            small_pool: Ok(self),
            sessions: Err("a connection to Redis has no settings that matter to golock"),
            wrong_password: Ok(self),
            schema_missing: Err("Redis needs no schema"),
            no_permission: Ok(self),
            tls_refused: Ok(self),
            purge_counts: Ok(()),
        }
    }
}

#[async_trait]
impl Damage for Redis {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.admin().await?.run("DEL", vec![key(space, name)]).await.map(drop)
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        let admin = self.admin().await?;
        let mut cursor = "0".to_owned();
        loop {
            let pattern = format!("{space}:*");
            let (next, keys): (String, Vec<Key>) =
                admin.0.scan_page(cursor, pattern, Some(1_000), Some(ScanType::Hash)).await?;
            if !keys.is_empty() {
                admin.0.del::<i64, _>(keys).await?;
            }
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        let arguments = vec![key(space, name), "token".to_owned(), token.to_string()];
        self.admin().await?.run("HSET", arguments).await.map(drop)
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.delete_all(space).await
    }
}

#[async_trait]
impl Restart for Redis {
    async fn restart(&self) -> Result<(), BoxError> {
        self.server.restart().await
    }
}

#[async_trait]
impl Connections for Redis {
    async fn kill_connections(&self) -> Result<(), BoxError> {
        let admin = self.admin().await?;
        for kind in ["normal", "pubsub"] {
            admin.run("CLIENT", vec!["KILL".into(), "TYPE".into(), kind.into(), "SKIPME".into(), "yes".into()]).await?;
        }
        Ok(())
    }

    async fn count_connections(&self) -> Result<usize, BoxError> {
        let list = self.admin().await?.run("CLIENT", vec!["LIST".into()]).await?;
        let list = list.as_string().ok_or("CLIENT LIST answered without a list")?;
        Ok(list.lines().count() - 1)
    }
}

#[async_trait]
impl Through for Redis {
    fn address(&self) -> String {
        self.server.address()
    }

    async fn store_through(&self, space: &str, address: SocketAddr) -> Result<Arc<dyn LockStore>, BoxError> {
        let url = self.server.url().replace(&self.server.address(), &address.to_string());
        store(&url, space).await
    }
}

#[async_trait]
impl SmallPool for Redis {
    async fn pool_of_one(&self, space: &str) -> Result<PoolOfOne, BoxError> {
        let policy = ReconnectPolicy::default();
        let pool = Pool::new(Config::from_url(self.server.url())?, None, None, Some(policy), 1)?;
        pool.init().await?;
        let store = RedisStore::builder().prefix(format!("{space}:")).build(&pool)?;
        let application = Blocking { pool, url: self.server.url().to_owned() };
        Ok(PoolOfOne { store: Arc::new(store), application: Box::new(application) })
    }
}

/// An application whose only connection waits for an element of a list.
struct Blocking {
    pool: Pool,
    url: String,
}

#[async_trait]
impl Application for Blocking {
    async fn take_connection(&self) -> Result<Guard, BoxError> {
        let client = self.pool.next().clone();
        let blocked = tokio::spawn(async move {
            let blpop = CustomCommand::new_static("BLPOP", ClusterHash::Random, true);
            client.custom::<Value, _>(blpop, vec!["an-empty-list", "0"]).await
        });
        let admin = Admin(open(&self.url).await?);
        while !admin.run("CLIENT", vec!["LIST".into()]).await?.as_string().unwrap_or_default().contains("cmd=blpop") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Ok(Box::new(Blocked { admin, blocked }))
    }
}

struct Blocked {
    admin: Admin,
    blocked: tokio::task::JoinHandle<Result<Value, fred::error::Error>>,
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let admin = Admin(self.admin.0.clone());
        tokio::spawn(async move { admin.run("RPUSH", vec!["an-empty-list".into(), "1".into()]).await });
        let _ = &self.blocked;
    }
}

#[async_trait]
impl Misconfigured for Redis {
    async fn misconfigured(&self, fault: Fault) -> Result<Arc<dyn LockStore>, BoxError> {
        let address = self.server.address();
        match fault {
            Fault::WrongPassword => {
                self.user("stranger", RIGHT, &["allkeys", "allchannels", "+@all"]).await?;
                store(&format!("redis://stranger:{WRONG}@{address}"), "misconfigured").await
            }
            Fault::NoPermission => {
                self.user("nobody", RIGHT, &["~other:*", "+ping", "+time", "+info"]).await?;
                store(&format!("redis://nobody:{RIGHT}@{address}"), "misconfigured").await
            }
            Fault::TlsRefused => store(&format!("rediss://{address}"), "misconfigured").await,
            fault => Err(format!("Redis does not know {fault}").into()),
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![RIGHT.to_owned(), WRONG.to_owned()]
    }
}

const RIGHT: &str = "the-right-secret";
const WRONG: &str = "the-wrong-secret";

impl Redis {
    async fn admin(&self) -> Result<Admin, BoxError> {
        open(self.server.url()).await.map(Admin)
    }

    async fn user(&self, name: &str, password: &str, rules: &[&str]) -> Result<(), BoxError> {
        let mut arguments = vec!["SETUSER".to_owned(), name.to_owned(), "reset".into(), "on".into(), format!(">{password}")];
        arguments.extend(rules.iter().map(|rule| (*rule).to_owned()));
        self.admin().await?.run("ACL", arguments).await.map(drop)
    }
}

/// A connection of an administrator's.
struct Admin(Client);

impl Admin {
    async fn run(&self, name: &'static str, arguments: Vec<String>) -> Result<Value, BoxError> {
        Ok(self.0.custom(command(name), arguments).await?)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let client = self.0.clone();
        tokio::spawn(async move { client.quit().await });
    }
}

fn command(name: &'static str) -> CustomCommand {
    CustomCommand::new_static(name, ClusterHash::Random, false)
}

async fn open(url: &str) -> Result<Client, BoxError> {
    let client = Client::new(Config::from_url(url)?, None, None, None);
    client.init().await?;
    Ok(client)
}

async fn store(url: &str, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
    Ok(Arc::new(RedisStore::builder().prefix(format!("{space}:")).connect(url).await?))
}

fn key(space: &str, name: &LockName) -> String {
    format!("{space}:{name}")
}
