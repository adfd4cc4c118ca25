//! Advisory locks, a connection for each that holds or waits: by hand, and through sqlx.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockGuard, PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Postgres, pool::PoolConnection};
use tokio_postgres::{Client as Driver, Statement};

use super::connect;
use crate::contender::{BoxError, Client, Contender, Place};

/// `pg_advisory_lock`, and nothing around it.
pub(super) async fn native(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    Ok(Arc::new(Native { url: place.url }))
}

struct Native {
    url: String,
}

#[async_trait]
impl Contender for Native {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        let driver = connect(&self.url).await?;
        let lock = driver.prepare("SELECT pg_advisory_lock(hashtextextended($1::text, 0))").await?;
        let unlock = driver.prepare("SELECT pg_advisory_unlock(hashtextextended($1::text, 0))").await?;
        Ok(Box::new(Session { driver, lock, unlock, held: None }))
    }
}

struct Session {
    driver: Driver,
    lock: Statement,
    unlock: Statement,
    held: Option<String>,
}

#[async_trait]
impl Client for Session {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        self.driver.execute(&self.lock, &[&name]).await?;
        self.held = Some(name.to_owned());
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some(name) = self.held.take() {
            self.driver.execute(&self.unlock, &[&name]).await?;
        }
        Ok(())
    }
}

/// sqlx's `PgAdvisoryLock`, over a pool that has a connection for every task.
pub(super) async fn sqlx(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    end_what_is_left(&place.url).await?;
    let options = PgConnectOptions::from_str(&place.url)?.application_name(SQLX);
    let most = u32::try_from(place.tasks)?;
    let pool = PgPoolOptions::new().max_connections(most.max(1)).connect_with(options).await?;
    Ok(Arc::new(Sqlx { pool }))
}

/// Tasks that wait at the end of a measurement are broken off. Their connections are granted the lock later, one after the other,
/// and the first of them keeps it (sqlx #4198): the others would stay for ever, and use up what the server has. Younger ones may be those
/// of a process that is measured now.
async fn end_what_is_left(url: &str) -> Result<(), BoxError> {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = $1 AND backend_start < now() - interval '5 seconds'";
    connect(url).await?.execute(end, &[&SQLX]).await?;
    Ok(())
}

const SQLX: &str = "golock-bench, sqlx";

struct Sqlx {
    pool: PgPool,
}

#[async_trait]
impl Contender for Sqlx {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        Ok(Box::new(SqlxTask { pool: self.pool.clone(), locks: HashMap::new(), held: None }))
    }
}

struct SqlxTask {
    pool: PgPool,
    /// A guard borrows its lock. A task has one or two names; theirs are never given back.
    locks: HashMap<String, &'static PgAdvisoryLock>,
    held: Option<PgAdvisoryLockGuard<'static, PoolConnection<Postgres>>>,
}

#[async_trait]
impl Client for SqlxTask {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let lock = match self.locks.get(name) {
            Some(lock) => *lock,
            None => {
                let lock: &'static PgAdvisoryLock = Box::leak(Box::new(PgAdvisoryLock::new(name)));
                self.locks.insert(name.to_owned(), lock);
                lock
            }
        };
        let connection = self.pool.acquire().await?;
        self.held = Some(lock.acquire(connection).await?);
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some(guard) = self.held.take() {
            guard.release_now().await?;
        }
        Ok(())
    }
}
