//! The suite of golock-conformance over MySQL and MariaDB.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use golock_conformance::servers::{self, Server};
use golock_conformance::{
    Abilities, Application, BoxError, Connections, Damage, Fault, Fixture, Guard, Misconfigured, PoolOfOne,
    Restart, RowLock, Sessions, SmallPool, Target, Through, async_trait,
};
use golock_core::{FencingToken, LockName, LockStore};
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Conn, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts};

use server::{literal, unique, url_as};

mod server;

fn main() -> ExitCode {
    golock_conformance::main(["mysql", "mariadb", "mariadb10"].map(target).into())
}

fn target(id: &'static str) -> Target {
    let answers = async |url: String| -> Result<(), BoxError> {
        let mut conn = server::admin(&url).await?;
        conn.query_drop("SELECT 1").await?;
        Ok(conn.disconnect().await?)
    };
    servers::target(id, answers, Mysql)
}

struct Mysql(Server);

impl Mysql {
    async fn admin(&self) -> Result<Conn, BoxError> {
        Ok(server::admin(self.0.url()).await?)
    }

    async fn run(&self, sql: String) -> Result<(), BoxError> {
        let mut conn = self.admin().await?;
        conn.query_drop(sql).await?;
        Ok(conn.disconnect().await?)
    }

    fn is_mariadb(&self) -> bool {
        self.0.id().starts_with("mariadb")
    }
}

#[async_trait]
impl Fixture for Mysql {
    fn name(&self) -> &str {
        self.0.id()
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(MysqlStore::builder().table(space).connect(self.0.url()).await?))
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities {
            damage: Ok(self),
            row_lock: Ok(self),
            connections: Ok(self),
            small_pool: Ok(self),
            sessions: Ok(self),
            wrong_password: Ok(self),
            schema_missing: Ok(self),
            no_permission: Ok(self),
            tls_refused: if self.is_mariadb() {
                Ok(self)
            } else {
                Err("this server has TLS: see tests/tls.rs")
            },
            purge_counts: Ok(()),
            through: Ok(self),
            restart: self.0.can_restart().map(|()| self as _),
        }
    }
}

#[async_trait]
impl Damage for Mysql {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.run(format!("DELETE FROM {space} WHERE name = {}", literal(name.as_bytes()))).await
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.run(format!("TRUNCATE {space}")).await
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        let name = literal(name.as_bytes());
        self.run(format!("UPDATE {space} SET token = {} WHERE name = {name}", token.get())).await
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.run(format!("DROP TABLE IF EXISTS {space}")).await
    }
}

#[async_trait]
impl RowLock for Mysql {
    async fn lock_row(&self, space: &str, name: &LockName) -> Result<Guard, BoxError> {
        let mut conn = self.admin().await?;
        conn.query_drop("BEGIN").await?;
        let sql = format!("SELECT token FROM {space} WHERE name = {} FOR UPDATE", literal(name.as_bytes()));
        conn.query_first::<i64, _>(sql).await?.ok_or("there is no such row")?;
        Ok(Box::new(conn))
    }
}

#[async_trait]
impl Connections for Mysql {
    async fn kill_connections(&self) -> Result<(), BoxError> {
        let mut conn = self.admin().await?;
        for id in conn.query::<u64, _>(OTHERS).await? {
            // It may have gone by itself.
            let _ = conn.query_drop(format!("KILL {id}")).await;
        }
        Ok(conn.disconnect().await?)
    }

    async fn count_connections(&self) -> Result<usize, BoxError> {
        let mut conn = self.admin().await?;
        let count = conn.query::<u64, _>(OTHERS).await?.len();
        conn.disconnect().await?;
        Ok(count)
    }
}

const OTHERS: &str = "SELECT id FROM information_schema.processlist
    WHERE id <> CONNECTION_ID() AND command <> 'Daemon' AND user NOT IN ('event_scheduler', 'system user')";

#[async_trait]
impl Restart for Mysql {
    async fn restart(&self) -> Result<(), BoxError> {
        self.0.restart().await
    }
}

#[async_trait]
impl Through for Mysql {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn store_through(&self, space: &str, address: SocketAddr) -> Result<Arc<dyn LockStore>, BoxError> {
        let url = self.0.url().replace(&self.0.address(), &address.to_string());
        Ok(Arc::new(MysqlStore::builder().table(space).connect(&url).await?))
    }
}

#[async_trait]
impl SmallPool for Mysql {
    async fn pool_of_one(&self, space: &str) -> Result<PoolOfOne, BoxError> {
        let one = PoolConstraints::new(1, 1).ok_or("one is no pool")?;
        let opts = OptsBuilder::from_opts(Opts::from_url(self.0.url())?)
            .prefer_socket(false)
            .pool_opts(PoolOpts::default().with_constraints(one));
        let pool = Pool::new(opts);
        let store = MysqlStore::builder().table(space).build_like(&pool).await?;
        store.ready().await?;
        Ok(PoolOfOne { store: Arc::new(store), application: Box::new(OwnPool(pool)) })
    }
}

struct OwnPool(Pool);

#[async_trait]
impl Application for OwnPool {
    async fn take_connection(&self) -> Result<Guard, BoxError> {
        Ok(Box::new(self.0.get_conn().await?))
    }
}

#[async_trait]
impl Sessions for Mysql {
    fn settings(&self) -> Vec<&'static str> {
        let own = if self.is_mariadb() {
            [
                "tx_isolation='SERIALIZABLE'",
                "tx_isolation='READ-UNCOMMITTED'",
                "tx_read_only=1",
                "sql_mode='ORACLE'",
            ]
        } else {
            [
                "transaction_isolation='SERIALIZABLE'",
                "transaction_isolation='READ-UNCOMMITTED'",
                "transaction_read_only=1",
                "max_execution_time=1",
            ]
        };
        let both = [
            "autocommit=0",
            "completion_type=1",
            "completion_type=2",
            "time_zone='-11:30'",
            "timestamp=1000000000",
            "sql_mode=''",
            "sql_mode='ANSI,TRADITIONAL'",
            "sql_mode='NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,PIPES_AS_CONCAT'",
            "sql_safe_updates=1",
            "sql_select_limit=0",
            "max_join_size=1",
            "unique_checks=0",
            "foreign_key_checks=0",
            "sql_auto_is_null=1",
            "lock_wait_timeout=1",
            "innodb_lock_wait_timeout=1",
            "wait_timeout=1",
            "character_set_client=sjis",
            "character_set_results=latin1",
            "collation_connection=utf8mb4_bin",
            "default_storage_engine=MEMORY",
            "div_precision_increment=0",
        ];
        own.into_iter().chain(both).collect()
    }

    async fn store_with(&self, space: &str, setting: &'static str) -> Result<Arc<dyn LockStore>, BoxError> {
        let opts = OptsBuilder::from_opts(Opts::from_url(self.0.url())?)
            .init(vec![format!("SET SESSION {setting}")]);
        let store = MysqlStore::builder().table(space).build(opts)?;
        store.ready().await?;
        Ok(Arc::new(store))
    }
}

#[async_trait]
impl Misconfigured for Mysql {
    async fn misconfigured(&self, fault: Fault) -> Result<Arc<dyn LockStore>, BoxError> {
        let builder = MysqlStore::builder();
        Ok(Arc::new(match fault {
            Fault::WrongPassword => {
                builder.connect(&url_as(self.0.url(), "root", &self.secrets()[0])).await?
            }
            Fault::SchemaMissing => {
                builder.table("nowhere").create_table(false).connect(self.0.url()).await?
            }
            Fault::NoPermission => {
                MysqlStore::builder().table("forbidden").connect(self.0.url()).await?;
                let (user, password) = (unique("u"), &self.secrets()[1]);
                self.run(format!("CREATE USER {user} IDENTIFIED BY '{password}'")).await?;
                self.run(format!("GRANT SELECT ON forbidden TO {user}")).await?;
                builder.table("forbidden").connect(&url_as(self.0.url(), &user, password)).await?
            }
            Fault::TlsRefused => builder.connect(&format!("{}?require_ssl=true", self.0.url())).await?,
            fault => return Err(format!("unknown fault: {fault}").into()),
        }))
    }

    fn secrets(&self) -> Vec<String> {
        vec!["open-sesame".to_owned(), "rosebud".to_owned()]
    }
}
