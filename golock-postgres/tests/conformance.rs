//! The suite of golock-conformance over PostgreSQL: the newest, and the oldest that is tested.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::any::Any;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use golock_conformance::servers::{self, Server};
use golock_conformance::{
    Abilities, Application, BoxError, Connections, Damage, Fault, Fixture, Guard, Misconfigured, PoolOfOne,
    Restart, RowLock, Sessions, SmallPool, Target, Through, async_trait,
};
use golock_core::{FencingToken, LockName, LockStore};
use golock_postgres::PostgresStore;
use golock_postgres::deadpool_postgres::tokio_postgres::{Client, NoTls};
use golock_postgres::deadpool_postgres::{Manager, Pool};

mod server;

fn main() -> ExitCode {
    golock_conformance::main(vec![target("postgres"), target("postgres15")])
}

fn target(id: &'static str) -> Target {
    let answers = async |url: String| -> Result<(), BoxError> {
        let (client, connection) =
            golock_postgres::deadpool_postgres::tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client.batch_execute("SELECT 1").await?)
    };
    servers::target(id, answers, Postgres)
}

struct Postgres(Server);

impl Postgres {
    /// An administrator's session.
    async fn admin(&self) -> Result<Client, BoxError> {
        let (client, connection) =
            golock_postgres::deadpool_postgres::tokio_postgres::connect(self.0.url(), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

#[async_trait]
impl Fixture for Postgres {
    fn name(&self) -> &str {
        self.0.id()
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(PostgresStore::builder().table(space).connect(self.0.url()).await?))
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
            tls_refused: Ok(self),
            purge_counts: Ok(()),
            through: Ok(self),
            restart: self.0.can_restart().map(|()| self as _),
        }
    }
}

#[async_trait]
impl Damage for Postgres {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        let sql = format!("DELETE FROM {space} WHERE name = $1");
        self.admin().await?.execute(&sql, &[&name.as_bytes()]).await?;
        Ok(())
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        Ok(self.admin().await?.batch_execute(&format!("TRUNCATE {space}")).await?)
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        let sql = format!("UPDATE {space} SET token = $2 WHERE name = $1");
        self.admin().await?.execute(&sql, &[&name.as_bytes(), &token.get()]).await?;
        Ok(())
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        Ok(self.admin().await?.batch_execute(&format!("DROP TABLE IF EXISTS {space}")).await?)
    }
}

#[async_trait]
impl RowLock for Postgres {
    async fn lock_row(&self, space: &str, name: &LockName) -> Result<Guard, BoxError> {
        let client = self.admin().await?;
        client.batch_execute("BEGIN").await?;
        let sql = format!("SELECT FROM {space} WHERE name = $1 FOR UPDATE");
        client.query_one(&sql, &[&name.as_bytes()]).await?;
        Ok(Box::new(client))
    }
}

#[async_trait]
impl Connections for Postgres {
    async fn kill_connections(&self) -> Result<(), BoxError> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.admin().await?.execute(sql, &[]).await?;
        Ok(())
    }

    async fn count_connections(&self) -> Result<usize, BoxError> {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let count: i64 = self.admin().await?.query_one(sql, &[]).await?.get(0);
        Ok(count.try_into()?)
    }
}

#[async_trait]
impl Restart for Postgres {
    async fn restart(&self) -> Result<(), BoxError> {
        self.0.restart().await
    }
}

#[async_trait]
impl Through for Postgres {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn store_through(&self, space: &str, address: SocketAddr) -> Result<Arc<dyn LockStore>, BoxError> {
        let url = self.0.url().replace(&self.0.address(), &address.to_string());
        Ok(Arc::new(PostgresStore::builder().table(space).connect(&url).await?))
    }
}

#[async_trait]
impl SmallPool for Postgres {
    async fn pool_of_one(&self, space: &str) -> Result<PoolOfOne, BoxError> {
        let manager = Manager::new(self.0.url().parse()?, NoTls);
        let pool = Pool::builder(manager).max_size(1).build()?;
        let store = PostgresStore::builder().table(space).build(pool.clone())?;
        store.ready().await?;
        Ok(PoolOfOne { store: Arc::new(store), application: Box::new(OwnPool(pool)) })
    }
}

struct OwnPool(Pool);

#[async_trait]
impl Application for OwnPool {
    async fn take_connection(&self) -> Result<Guard, BoxError> {
        let connection: Box<dyn Any + Send> = Box::new(self.0.get().await?);
        Ok(connection)
    }
}

#[async_trait]
impl Sessions for Postgres {
    fn settings(&self) -> Vec<&'static str> {
        vec![
            "default_transaction_read_only=on",
            "default_transaction_isolation=serializable",
            "default_transaction_isolation='repeatable read'",
            "default_transaction_deferrable=on",
            "synchronous_commit=off",
            "statement_timeout=1",
            "lock_timeout=1",
            "timezone='Asia/Kathmandu'",
            "datestyle='SQL, DMY'",
            "intervalstyle='sql_standard'",
            "bytea_output='escape'",
            "standard_conforming_strings=off",
            "extra_float_digits=-15",
            "client_encoding='LATIN1'",
            "search_path='pg_catalog', 'public'",
        ]
    }

    async fn store_with(&self, space: &str, setting: &'static str) -> Result<Arc<dyn LockStore>, BoxError> {
        let role = server::unique("role");
        let sql = format!(
            "CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'tester'; ALTER ROLE {role} SET {}",
            setting.replacen('=', " = ", 1)
        );
        self.admin().await?.batch_execute(&sql).await?;
        let url = server::url_as(self.0.url(), &role, "tester");
        Ok(Arc::new(PostgresStore::builder().table(space).connect(&url).await?))
    }
}

#[async_trait]
impl Misconfigured for Postgres {
    async fn misconfigured(&self, fault: Fault) -> Result<Arc<dyn LockStore>, BoxError> {
        let builder = PostgresStore::builder();
        Ok(Arc::new(match fault {
            Fault::WrongPassword => {
                builder.connect(&server::url_as(self.0.url(), "postgres", &self.secrets()[0])).await?
            }
            Fault::SchemaMissing => {
                builder.table("nowhere").create_table(false).connect(self.0.url()).await?
            }
            Fault::NoPermission => {
                let role = server::unique("role");
                let sql = format!(
                    "CREATE ROLE {role} LOGIN PASSWORD '{}'; CREATE TABLE IF NOT EXISTS forbidden (LIKE conformance INCLUDING ALL)",
                    self.secrets()[1]
                );
                self.admin().await?.batch_execute(&sql).await?;
                let url = server::url_as(self.0.url(), &role, &self.secrets()[1]);
                builder.table("forbidden").connect(&url).await?
            }
            Fault::TlsRefused => builder.connect(&format!("{}?sslmode=require", self.0.url())).await?,
            fault => return Err(format!("unknown fault: {fault}").into()),
        }))
    }

    fn secrets(&self) -> Vec<String> {
        vec!["open-sesame".to_owned(), "rosebud".to_owned()]
    }
}
