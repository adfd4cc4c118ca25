//! Advisory locks, a connection for each that holds or waits: by hand, and through sqlx.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockGuard, PgPool, PgPoolOptions};
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
    let most = u32::try_from(place.tasks)?;
    let pool = PgPoolOptions::new().max_connections(most.max(1)).connect(&place.url).await?;
    Ok(Arc::new(Sqlx { pool }))
}

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
