//! The prototype that golock's waiting has to keep up with: a key, a line in the process, and a PUBLISH with each release.
//! Nothing in it is ready for a crash, a cancelled task or a lost reply.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use golock_redis::fred::clients::Client as Driver;
use golock_redis::fred::interfaces::{EventInterface, LuaInterface, PubsubInterface};

use super::connect;
use super::raw::take;
use crate::contender::{BoxError, Client, Contender, Place};
use crate::line::{Head, Lines};

const CHANNEL: &str = "push:freed";
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then
                           redis.call('DEL', KEYS[1])
                           return redis.call('PUBLISH', ARGV[2], KEYS[1])
                       end
                       return 0";

/// After this it asks again, pushed or not.
const AT_MOST: Duration = Duration::from_secs(1);

pub(super) async fn open(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    let (driver, listener) = (connect(&place.url).await?, connect(&place.url).await?);
    let release = driver.script_load(RELEASE).await?;
    listener.subscribe(CHANNEL).await?;
    Ok(Arc::new(Push { shared: Arc::new(Shared { driver, listener, release, lines: Lines::default() }) }))
}

struct Push {
    shared: Arc<Shared>,
}

struct Shared {
    driver: Driver,
    listener: Driver,
    release: String,
    lines: Lines,
}

#[async_trait]
impl Contender for Push {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        Ok(Box::new(Task { shared: Arc::clone(&self.shared), id: unique(), held: None }))
    }
}

struct Task {
    shared: Arc<Shared>,
    id: u64,
    held: Option<(String, Head)>,
}

#[async_trait]
impl Client for Task {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let key = format!("push:{name}");
        let head = self.shared.lines.head(name).await;
        loop {
            // Listening before it asks, so that no release falls in between.
            let mut freed = self.shared.listener.message_rx();
            if take(&self.shared.driver, &key, self.id).await? {
                break;
            }
            let is_freed = async {
                while let Ok(message) = freed.recv().await {
                    if message.value.as_str().as_deref() == Some(&key) {
                        return;
                    }
                }
            };
            // A second without a push: ask again.
            let _ = tokio::time::timeout(AT_MOST, is_freed).await;
        }
        self.held = Some((key, head));
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some((key, _head)) = self.held.take() {
            let arguments = vec![self.id.to_string(), CHANNEL.to_owned()];
            let _: i64 = self.shared.driver.evalsha(self.shared.release.as_str(), key, arguments).await?;
        }
        Ok(())
    }
}

/// Different in every task of every process.
fn unique() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
