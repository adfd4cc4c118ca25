//! Other crates that lock on Redis.

use std::sync::Arc;

use async_trait::async_trait;
use distributed_lock_core::error::LockError;
use distributed_lock_core::traits::{DistributedLock, LockHandle, LockProvider};
use distributed_lock_redis::{RedisLockHandle, RedisLockProvider};
use redis::aio::MultiplexedConnection;
use redis_lock::LockAcrossOptions;
use rslock::{Lock as RsLock, LockManager};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;

use crate::contender::{BoxError, Client, Contender, LEASE, POLL, Place, Renewed};

/// rslock, with its own waiting: a random sleep of up to 200 ms.
pub(super) async fn rslock(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    Ok(Arc::new(Rslock(LockManager::new(vec![place.url]))))
}

struct Rslock(LockManager);

#[async_trait]
impl Contender for Rslock {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        Ok(Box::new(RslockTask { manager: self.0.clone(), held: None }))
    }
}

struct RslockTask {
    manager: LockManager,
    held: Option<RsLock>,
}

#[async_trait]
impl Client for RslockTask {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        self.held = Some(self.manager.acquire_no_guard(name.as_bytes(), LEASE).await?);
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some(lock) = self.held.take() {
            self.manager.unlock(&lock).await;
        }
        Ok(())
    }
}

/// redis-lock by its `lock_across`, which it calls the efficient one; each task has a clone of one multiplexed connection
/// behind a mutex of its own. It runs a future under the lock, so its lock and unlock are a task that is told when to end.
pub(super) async fn redis_lock(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    let client = redis::Client::open(place.url)?;
    Ok(Arc::new(RedisLock(client.get_multiplexed_async_connection().await?)))
}

struct RedisLock(MultiplexedConnection);

#[async_trait]
impl Contender for RedisLock {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        let connection = Arc::new(Mutex::new(self.0.clone()));
        Ok(Box::new(RedisLockTask { connection, release: None, running: JoinSet::new() }))
    }
}

struct RedisLockTask {
    connection: Arc<Mutex<MultiplexedConnection>>,
    release: Option<oneshot::Sender<()>>,
    /// Of one task; it ends with this client.
    running: JoinSet<Result<(), String>>,
}

#[async_trait]
impl Client for RedisLockTask {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let (locked, is_locked) = oneshot::channel();
        let (release, is_released) = oneshot::channel();
        let (connection, name) = (Arc::clone(&self.connection), name.to_owned());
        self.running.spawn(async move {
            let options = LockAcrossOptions { ttl: LEASE, duration: LEASE, ..LockAcrossOptions::default() };
            let held = async move {
                let _ = locked.send(());
                let _: Result<(), _> = is_released.await;
            };
            let done = redis_lock::lock_across(&[connection], &name, held, options).await;
            done.map_err(|error| error.to_string())
        });
        self.release = Some(release);
        match is_locked.await {
            Ok(()) => Ok(()),
            // It has ended without: with an error.
            Err(_) => self.unlock().await,
        }
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        self.release = None;
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// distributed-lock. Its `acquire` asks once, and reports a lock that is held as a timeout: who waits sleeps and asks again.
pub(super) async fn distributed_lock(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    let builder = RedisLockProvider::builder().url(place.url).expiry(place.lease);
    let builder = builder.min_validity(place.lease * 9 / 10).extension_cadence(place.lease / 3);
    Ok(Arc::new(Distributed(Arc::new(builder.build().await?))))
}

struct Distributed(Arc<RedisLockProvider>);

#[async_trait]
impl Contender for Distributed {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        Ok(Box::new(DistributedTask { provider: Arc::clone(&self.0), held: None }))
    }

    async fn renewed(&self, name: &str) -> Result<Box<dyn Renewed>, BoxError> {
        Ok(Box::new(self.0.create_lock(name).acquire(None).await?))
    }
}

struct DistributedTask {
    provider: Arc<RedisLockProvider>,
    held: Option<RedisLockHandle>,
}

#[async_trait]
impl Client for DistributedTask {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let lock = self.provider.create_lock(name);
        loop {
            match lock.acquire(None).await {
                Ok(handle) => {
                    self.held = Some(handle);
                    return Ok(());
                }
                Err(LockError::Timeout(_)) => tokio::time::sleep(POLL).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        match self.held.take() {
            Some(handle) => Ok(handle.release().await?),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Renewed for RedisLockHandle {
    fn is_held(&self) -> bool {
        !*self.lost_token().borrow()
    }

    async fn release(self: Box<Self>) -> Result<(), BoxError> {
        Ok(LockHandle::release(*self).await?)
    }
}
