//! The server of the tests, what an administrator does to it, and what a store is asked.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::BoxError;
use golock_conformance::servers::{Server, url_as};
use golock_core::store::{AcquireAnswer, AcquireRequest, ReleaseRequest};
use golock_core::{FencingToken, GrantId, LockName, LockStore, StoreError};
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Conn, Opts, OptsBuilder};
use tokio::time::sleep;

use crate::server::{self, label, literal, unique};

/// A server, and what an administrator does to it.
pub(crate) struct Db(pub(crate) Server);

impl AsRef<Server> for Db {
    fn as_ref(&self) -> &Server {
        &self.0
    }
}

impl Db {
    pub(crate) fn opts(&self) -> Result<OptsBuilder, BoxError> {
        Ok(OptsBuilder::from_opts(Opts::from_url(self.0.url())?))
    }

    pub(crate) async fn store(&self) -> Result<Arc<MysqlStore>, BoxError> {
        Ok(Arc::new(MysqlStore::connect(self.0.url()).await?))
    }

    pub(crate) async fn admin(&self) -> Result<Conn, BoxError> {
        Ok(server::admin(self.0.url()).await?)
    }

    pub(crate) async fn run(&self, sql: &str) -> Result<(), BoxError> {
        let mut conn = self.admin().await?;
        conn.query_drop(sql).await?;
        Ok(conn.disconnect().await?)
    }

    /// Until it is dropped.
    pub(crate) async fn lock_row(&self, table: &str, name: &LockName) -> Result<Conn, BoxError> {
        let mut conn = self.admin().await?;
        conn.query_drop("BEGIN").await?;
        let sql = format!("SELECT token FROM {table} WHERE name = {} FOR UPDATE", literal(name.as_bytes()));
        conn.query_first::<i64, _>(sql).await?.ok_or("there is no such row")?;
        Ok(conn)
    }

    /// A session that waits for a row, once there is one.
    pub(crate) async fn until_waiting(&self) -> Result<u64, BoxError> {
        let mut conn = self.admin().await?;
        let sql =
            "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
        loop {
            if let Some(waiting) = conn.query_first(sql).await? {
                return Ok(waiting);
            }
            // What is looked at more often than every 100 ms, the server does not bring up to date.
            sleep(Duration::from_millis(120)).await;
        }
    }

    pub(crate) async fn others(&self, conn: &mut Conn) -> Result<Vec<u64>, BoxError> {
        let sql = "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()
                   AND command <> 'Daemon' AND user NOT IN ('event_scheduler', 'system user')";
        Ok(conn.query(sql).await?)
    }

    pub(crate) async fn kill_others(&self) -> Result<(), BoxError> {
        let mut conn = self.admin().await?;
        for id in self.others(&mut conn).await? {
            // It may have gone by itself.
            let _ = conn.query_drop(format!("KILL {id}")).await;
        }
        conn.disconnect().await?;
        self.until_alone().await
    }

    pub(crate) async fn until_alone(&self) -> Result<(), BoxError> {
        let mut conn = self.admin().await?;
        while !self.others(&mut conn).await?.is_empty() {}
        Ok(())
    }

    /// The URL of a new user with a privilege.
    pub(crate) async fn user(&self, with: &str, privilege: &str) -> Result<String, BoxError> {
        let user = unique("u");
        self.run(&format!("CREATE USER {user} IDENTIFIED BY 'tester' {with}")).await?;
        self.run(&format!("GRANT {privilege} TO {user}")).await?;
        Ok(url_as(self.0.url(), &user, "tester"))
    }
}

pub(crate) async fn acquire(
    store: &MysqlStore,
    name: &LockName,
    id: GrantId,
    lease: Duration,
) -> Result<AcquireAnswer, StoreError> {
    let answers = store.acquire(&[AcquireRequest::new(name.clone(), id, label(), lease)]).await?;
    Ok(answers.into_iter().next().expect("one request, one answer"))
}

pub(crate) async fn taken(
    store: &MysqlStore,
    name: &LockName,
    id: GrantId,
    lease: Duration,
) -> Result<FencingToken, StoreError> {
    match acquire(store, name, id, lease).await? {
        AcquireAnswer::Granted { token, .. } => Ok(token),
        answer => panic!("{name} was free, but the answer is {answer:?}"),
    }
}

pub(crate) async fn give_back(store: &MysqlStore, name: &LockName, id: GrantId) -> Result<(), StoreError> {
    store.release(&[ReleaseRequest::new(name.clone(), id, Duration::ZERO)]).await.map(drop)
}
