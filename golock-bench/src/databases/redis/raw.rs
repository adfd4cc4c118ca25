//! The floor: `SET NX PX` and a scripted compare-and-delete, pipelined over one connection.

use std::sync::Arc;

use async_trait::async_trait;
use golock_redis::fred::clients::Client as Driver;
use golock_redis::fred::interfaces::{KeysInterface, LuaInterface};
use golock_redis::fred::types::{Expiration, SetOptions};

use super::connect;
use crate::contender::{BoxError, Client, Contender, LEASE, POLL, Place};

/// Deletes the key if it has this value.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

pub(super) async fn open(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    let driver = connect(&place.url).await?;
    let release = driver.script_load(RELEASE).await?;
    Ok(Arc::new(Raw { driver, release }))
}

struct Raw {
    driver: Driver,
    release: String,
}

#[async_trait]
impl Contender for Raw {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        let (driver, release) = (self.driver.clone(), self.release.clone());
        Ok(Box::new(Task { driver, release, grants: 0, held: None }))
    }
}

struct Task {
    driver: Driver,
    release: String,
    grants: u64,
    held: Option<String>,
}

#[async_trait]
impl Client for Task {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let key = format!("raw:{name}");
        self.grants += 1;
        while !take(&self.driver, &key, self.grants).await? {
            tokio::time::sleep(POLL).await;
        }
        self.held = Some(key);
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some(key) = self.held.take() {
            let _: i64 = self.driver.evalsha(self.release.as_str(), key, self.grants.to_string()).await?;
        }
        Ok(())
    }
}

/// Whether the key was free, and is this grant's now.
pub(super) async fn take(driver: &Driver, key: &str, grant: u64) -> Result<bool, BoxError> {
    let expiry = Some(Expiration::PX(LEASE.as_millis() as i64));
    let answer: Option<String> =
        driver.set(key, grant.to_string(), expiry, Some(SetOptions::NX), false).await?;
    Ok(answer.is_some())
}
