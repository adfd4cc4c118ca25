//! The suite of golock-conformance over Redis and Valkey.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use golock_conformance::servers::{self, Server};
use golock_conformance::{
    Abilities, Application, BoxError, Connections, Damage, Fault, Fixture, Guard, Misconfigured, PoolOfOne,
    Restart, SmallPool, Target, Through, async_trait,
};
use golock_core::{FencingToken, LockName, LockStore};
use golock_redis::RedisStore;
use golock_redis::fred::clients::Pool;
use golock_redis::fred::interfaces::ClientLike;
use golock_redis::fred::types::config::Config;
use golock_redis::fred::types::{ClusterHash, CustomCommand, Value};

use server::{Admin, url_as};

mod server;

fn main() -> ExitCode {
    golock_conformance::main(vec![target("redis"), target("valkey")])
}

fn target(id: &'static str) -> Target {
    let answers = async |url: String| -> Result<(), BoxError> {
        Admin::connect(&url).await?.run(&["PING"]).await?;
        Ok(())
    };
    servers::target(id, answers, Redis)
}

struct Redis(Server);

impl Redis {
    async fn admin(&self) -> Result<Admin, BoxError> {
        Ok(Admin::connect(self.0.url()).await?)
    }

    async fn user(&self, name: &str, password: &str, rules: &str) -> Result<String, BoxError> {
        self.admin().await?.user(name, password, rules).await?;
        Ok(url_as(self.0.url(), name, password))
    }
}

#[async_trait]
impl Fixture for Redis {
    fn name(&self) -> &str {
        self.0.id()
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        store(space, self.0.url()).await
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities {
            damage: Ok(self),
            row_lock: Err("Redis has no transactions that lock rows"),
            connections: Ok(self),
            small_pool: Ok(self),
            sessions: Err("a connection to Redis has no settings that matter to locks"),
            wrong_password: Ok(self),
            schema_missing: Err("Redis needs no schema"),
            no_permission: Ok(self),
            tls_refused: Ok(self),
            purge_counts: Ok(()),
            through: Ok(self),
            restart: self.0.can_restart().map(|()| self as _),
        }
    }
}

#[async_trait]
impl Damage for Redis {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.admin().await?.run(&["DEL", &key(space, name)]).await?;
        Ok(())
    }

    /// FLUSHALL, for this space.
    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        let script = "local cursor = '0' repeat
                          local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1] .. ':*', 'COUNT', 1000)
                          for _, key in ipairs(page[2]) do redis.call('DEL', key) end
                          cursor = page[1]
                      until cursor == '0'";
        self.admin().await?.run(&["EVAL", script, "0", space]).await?;
        Ok(())
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        self.admin().await?.run(&["HSET", &key(space, name), "token", &token.to_string()]).await?;
        Ok(())
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.delete_all(space).await
    }
}

#[async_trait]
impl Connections for Redis {
    async fn kill_connections(&self) -> Result<(), BoxError> {
        let admin = self.admin().await?;
        for kind in ["normal", "pubsub"] {
            admin.run(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await?;
        }
        Ok(())
    }

    async fn count_connections(&self) -> Result<usize, BoxError> {
        let clients = self.admin().await?.run(&["CLIENT", "LIST"]).await?;
        Ok(clients.lines().count() - 1)
    }
}

#[async_trait]
impl Restart for Redis {
    async fn restart(&self) -> Result<(), BoxError> {
        self.0.restart().await
    }
}

#[async_trait]
impl Through for Redis {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn store_through(&self, space: &str, address: SocketAddr) -> Result<Arc<dyn LockStore>, BoxError> {
        store(space, &self.0.url().replace(&self.0.address(), &address.to_string())).await
    }
}

#[async_trait]
impl SmallPool for Redis {
    async fn pool_of_one(&self, space: &str) -> Result<PoolOfOne, BoxError> {
        let pool = Pool::new(Config::from_url(self.0.url())?, None, None, None, 1)?;
        pool.init().await?;
        let store = RedisStore::builder().prefix(prefix(space)).build(&pool)?;
        store.ready().await?;
        let list = format!("{}list", prefix(space));
        let application = OwnPool { pool, list, url: self.0.url().to_owned() };
        Ok(PoolOfOne { store: Arc::new(store), application: Box::new(application) })
    }
}

/// Its only connection can be blocked by a command of the application's.
struct OwnPool {
    pool: Pool,
    list: String,
    url: String,
}

#[async_trait]
impl Application for OwnPool {
    async fn take_connection(&self) -> Result<Guard, BoxError> {
        let (pool, list) = (self.pool.clone(), self.list.clone());
        let blpop = CustomCommand::new_static("BLPOP", ClusterHash::Random, true);
        tokio::spawn(async move { pool.next().custom::<Value, _>(blpop, vec![list, "0".to_owned()]).await });
        let admin = Admin::connect(&self.url).await?;
        while !admin.run(&["CLIENT", "LIST"]).await?.contains("cmd=blpop") {
            tokio::task::yield_now().await;
        }
        Ok(Box::new(Blocked { admin: Some(admin), list: self.list.clone() }))
    }
}

impl Drop for OwnPool {
    fn drop(&mut self) {
        let pool = self.pool.clone();
        tokio::spawn(async move { pool.quit().await });
    }
}

struct Blocked {
    admin: Option<Admin>,
    list: String,
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let (admin, list) = (self.admin.take(), std::mem::take(&mut self.list));
        tokio::spawn(async move {
            if let Some(admin) = admin {
                // Nobody is left to tell if it fails: the application then stays blocked, as it was.
                let _ = admin.run(&["RPUSH", &list, "go on"]).await;
            }
        });
    }
}

#[async_trait]
impl Misconfigured for Redis {
    async fn misconfigured(&self, fault: Fault) -> Result<Arc<dyn LockStore>, BoxError> {
        let secrets = self.secrets();
        let url = match fault {
            Fault::WrongPassword => {
                self.user("owner", &secrets[0], "allkeys allchannels +@all").await?;
                url_as(self.0.url(), "owner", &secrets[1])
            }
            Fault::NoPermission => {
                self.user("visitor", &secrets[0], "~elsewhere:* +@connection +info +time").await?
            }
            Fault::TlsRefused => self.0.url().replace("redis://", "rediss://"),
            fault => return Err(format!("unknown fault: {fault}").into()),
        };
        store("misconfigured", &url).await
    }

    fn secrets(&self) -> Vec<String> {
        vec!["open-sesame".to_owned(), "rosebud".to_owned()]
    }
}

async fn store(space: &str, url: &str) -> Result<Arc<dyn LockStore>, BoxError> {
    Ok(Arc::new(RedisStore::builder().prefix(prefix(space)).connect(url).await?))
}

fn prefix(space: &str) -> String {
    format!("{space}:")
}

fn key(space: &str, name: &LockName) -> String {
    format!("{}{name}", prefix(space))
}
