//! golock itself, on whatever store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use golock_core::{Lock, LockOptions, LockStore, Locker};

use crate::contender::{BoxError, Client, Contender, Renewed};

pub(crate) struct Golock {
    locker: Locker,
    lease: Duration,
}

impl Golock {
    pub(crate) fn over(store: impl LockStore, lease: Duration) -> Arc<dyn Contender> {
        Arc::new(Self { locker: Locker::new(store), lease })
    }
}

#[async_trait]
impl Contender for Golock {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        Ok(Box::new(Task { locker: self.locker.clone(), lease: self.lease, held: None }))
    }

    async fn renewed(&self, name: &str) -> Result<Box<dyn Renewed>, BoxError> {
        let options = LockOptions::new(name).lock_at_most(self.lease).auto_renew(true);
        Ok(Box::new(self.locker.lock(options).await?))
    }
}

struct Task {
    locker: Locker,
    lease: Duration,
    held: Option<Lock>,
}

#[async_trait]
impl Client for Task {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        self.held = Some(self.locker.lock(LockOptions::new(name).lock_at_most(self.lease)).await?);
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        match self.held.take() {
            Some(lock) => Ok(lock.unlock().await?),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Renewed for Lock {
    fn is_held(&self) -> bool {
        Lock::is_held(self)
    }

    async fn release(self: Box<Self>) -> Result<(), BoxError> {
        Ok(self.unlock().await?)
    }
}
