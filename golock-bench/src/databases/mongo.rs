//! MongoDB, or what stands in for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use distributed_lock_core::traits::{DistributedLock, LockHandle};
use distributed_lock_mongo::handle::MongoLockHandle;
use distributed_lock_mongo::{MongoDistributedLock, MongoDistributedLockOptions};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::{DateTime, Document, doc};
use golock_mongo::mongodb::error::ErrorKind;
use golock_mongo::mongodb::options::WriteConcern;
use golock_mongo::mongodb::{Client as Driver, Collection, Database as Base};

use super::{Database, row};
use crate::contender::{BoxError, Client, Contender, Entry, LEASE, POLL, Place, Role};
use crate::golock::Golock;
use crate::servers::{self, Kind};

pub(crate) struct Mongo;

const CONTENDERS: &[Entry] = &[
    Entry::new("golock", Role::Golock, |place| Box::pin(golock(place))).renewing(),
    Entry::new("raw", Role::Floor, |place| Box::pin(raw(place))),
    Entry::new("distributed-lock", Role::Peer, |place| Box::pin(distributed_lock(place))),
];

const DATABASE: &str = "bench";

#[async_trait]
impl Database for Mongo {
    fn kind(&self) -> &'static Kind {
        &servers::MONGO
    }

    fn contenders(&self) -> &'static [Entry] {
        CONTENDERS
    }

    /// Makes a replica set of a server that is in none yet.
    async fn prepare(&self, url: &str) -> Result<(), BoxError> {
        let admin = connect(url).await?.client().database("admin");
        let hello = admin.run_command(doc! { "hello": 1 }).await?;
        if hello.get_bool("isWritablePrimary")? {
            return Ok(());
        }
        let alone = doc! { "_id": "golock", "members": [{ "_id": 0, "host": "localhost:27017" }] };
        // An error says that it was made before.
        let _ = admin.run_command(doc! { "replSetInitiate": alone }).await;
        Err("the server is about to become primary".into())
    }

    async fn version(&self, url: &str) -> Result<String, BoxError> {
        let answer = connect(url).await?.run_command(doc! { "buildInfo": 1 }).await?;
        Ok(format!("MongoDB {}", answer.get_str("version").unwrap_or("?")))
    }

    async fn round_trips(&self, url: &str, samples: usize) -> Result<Vec<Duration>, BoxError> {
        let base = connect(url).await?;
        let mut took = Vec::with_capacity(samples);
        for _ in 0..samples {
            let begun = Instant::now();
            base.run_command(doc! { "ping": 1 }).await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    async fn fill(&self, url: &str, space: &str, rows: usize) -> Result<(), BoxError> {
        let collection = connect(url).await?.collection::<Document>(space);
        let epoch = DateTime::from_millis(0);
        for first in (0..rows).step_by(FILLED_AT_ONCE) {
            let last = (first + FILLED_AT_ONCE).min(rows);
            let free = (first..last).map(|number| {
                doc! { "_id": row(number), "lockBy": "-", "token": 1_i64, "lockedAt": epoch, "expiresAt": epoch }
            });
            collection.insert_many(free).await?;
        }
        Ok(())
    }
}

const FILLED_AT_ONCE: usize = 5_000;

async fn golock(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    let builder = MongoStore::builder().database(DATABASE).collection(&place.space);
    Ok(Golock::over(builder.connect(&place.url).await?, place.lease))
}

/// A client with the driver's own pool.
async fn connect(url: &str) -> Result<Base, BoxError> {
    Ok(Driver::with_uri_str(url).await?.database(DATABASE))
}

/// The floor: a bare findAndModify each way, acknowledged by the majority and its journal.
async fn raw(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    Ok(Arc::new(Raw(connect(&place.url).await?.collection("bench_raw"))))
}

struct Raw(Collection<Document>);

#[async_trait]
impl Contender for Raw {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        Ok(Box::new(RawTask { rows: self.0.clone(), grants: 0, held: None }))
    }
}

struct RawTask {
    rows: Collection<Document>,
    grants: i64,
    held: Option<String>,
}

#[async_trait]
impl Client for RawTask {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        self.grants += 1;
        loop {
            let now = DateTime::now();
            let until = DateTime::from_millis(now.timestamp_millis() + LEASE.as_millis() as i64);
            let free = doc! { "_id": name, "expiresAt": { "$lte": now } };
            let taken = doc! { "$set": { "grant": self.grants, "expiresAt": until } };
            let answer =
                self.rows.find_one_and_update(free, taken).upsert(true).write_concern(durable()).await;
            match answer {
                Ok(_) => break,
                Err(error) if is_held(&error.kind) => tokio::time::sleep(POLL).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.held = Some(name.to_owned());
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some(name) = self.held.take() {
            let mine = doc! { "_id": name, "grant": self.grants };
            let free = doc! { "$set": { "expiresAt": DateTime::from_millis(0) } };
            self.rows.find_one_and_update(mine, free).write_concern(durable()).await?;
        }
        Ok(())
    }
}

fn durable() -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.journal = Some(true);
    concern
}

/// The row is there and not free, so that the upsert tried to insert it: 11000.
fn is_held(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Command(error) if error.code == 11_000)
}

/// distributed-lock, which asks every 10 ms.
async fn distributed_lock(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    Ok(Arc::new(Distributed(connect(&place.url).await?)))
}

struct Distributed(Base);

#[async_trait]
impl Contender for Distributed {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        Ok(Box::new(DistributedTask { base: self.0.clone(), held: None }))
    }
}

struct DistributedTask {
    base: Base,
    held: Option<MongoLockHandle>,
}

#[async_trait]
impl Client for DistributedTask {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let options = MongoDistributedLockOptions { expiry: LEASE, ..MongoDistributedLockOptions::default() };
        let lock = MongoDistributedLock::new(name.to_owned(), self.base.clone(), None, Some(options));
        // Its own "for ever" overflows the clock.
        self.held = Some(lock.acquire(Some(LEASE)).await?);
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        match self.held.take() {
            Some(handle) => Ok(LockHandle::release(handle).await?),
            None => Ok(()),
        }
    }
}
