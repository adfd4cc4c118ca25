//! The prototype that golock's waiting has to keep up with: a row, a line in the process, and NOTIFY with each release.
//! Its releases don't wait for the disk, as golock's don't: with ones that do, NOTIFY makes it several times as slow.
//! Nothing in it is ready for a crash, a cancelled task or a lost reply.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio_postgres::{AsyncMessage, Client as Driver, NoTls, Statement};

use super::connect;
use super::raw;
use crate::contender::{BoxError, Client, Contender, Place};
use crate::line::{Head, Lines};

const RELEASE: &str = "
    WITH freed AS (
        UPDATE bench_push SET grant_id = NULL, expires_at = clock_timestamp() WHERE name = $1 AND grant_id = $2 RETURNING 1
    )
    SELECT set_config('synchronous_commit', 'off', true), pg_notify('bench_push', convert_from($1, 'UTF8')) FROM freed";

/// After this it asks again, notified or not.
const AT_MOST: Duration = Duration::from_secs(1);

pub(super) async fn open(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    let driver = connect(&place.url).await?;
    let acquire = driver.prepare(&raw::acquire("bench_push")).await?;
    let release = driver.prepare(RELEASE).await?;
    let (listener, freed) = listen(&place.url).await?;
    let shared = Shared { driver, acquire, release, _listener: listener, freed, lines: Lines::default() };
    Ok(Arc::new(Push { shared: Arc::new(shared) }))
}

/// One connection that listens; what it hears is passed on to every task that waits.
async fn listen(url: &str) -> Result<(Driver, broadcast::Sender<String>), BoxError> {
    let (listener, mut connection) = tokio_postgres::connect(url, NoTls).await?;
    let (freed, _) = broadcast::channel(1024);
    let passed_on = freed.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                // An error says that nobody waits.
                let _ = passed_on.send(notification.payload().to_owned());
            }
        }
    });
    listener.batch_execute("LISTEN bench_push").await?;
    Ok((listener, freed))
}

struct Push {
    shared: Arc<Shared>,
}

struct Shared {
    driver: Driver,
    acquire: Statement,
    release: Statement,
    /// Its connection ends with it.
    _listener: Driver,
    freed: broadcast::Sender<String>,
    lines: Lines,
}

#[async_trait]
impl Contender for Push {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        use std::hash::{BuildHasher, RandomState};
        let id = RandomState::new().hash_one(std::process::id()) as i64;
        Ok(Box::new(Task { shared: Arc::clone(&self.shared), id, held: None }))
    }
}

struct Task {
    shared: Arc<Shared>,
    /// Different in every task of every process.
    id: i64,
    held: Option<(Vec<u8>, Head)>,
}

#[async_trait]
impl Client for Task {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let head = self.shared.lines.head(name).await;
        let bytes = name.as_bytes().to_vec();
        loop {
            // Listening before it asks, so that no release falls in between.
            let mut freed = self.shared.freed.subscribe();
            if self.shared.driver.execute(&self.shared.acquire, &[&bytes, &self.id]).await? == 1 {
                break;
            }
            let is_freed = async {
                while let Ok(other) = freed.recv().await {
                    if other == name {
                        return;
                    }
                }
            };
            // A second without a notification: ask again.
            let _ = tokio::time::timeout(AT_MOST, is_freed).await;
        }
        self.held = Some((bytes, head));
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some((name, _head)) = self.held.take() {
            self.shared.driver.execute(&self.shared.release, &[&name, &self.id]).await?;
        }
        Ok(())
    }
}
