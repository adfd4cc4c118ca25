//! PostgreSQL.

mod advisory;
mod listen;
mod raw;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use golock_postgres::PostgresStore;
use tokio_postgres::{Client, NoTls};

use super::Database;
use crate::contender::{BoxError, Contender, Entry, Place, Role};
use crate::golock::Golock;
use crate::servers::{self, Kind};

pub(crate) struct Postgres;

const CONTENDERS: &[Entry] = &[
    Entry::new("golock", Role::Golock, |place| Box::pin(golock(place))).renewing(),
    Entry::new("raw", Role::Floor, |place| Box::pin(raw::open(place, raw::Release::Synchronous))),
    Entry::new("raw, release asynchronous", Role::Variant, |place| {
        Box::pin(raw::open(place, raw::Release::Asynchronous))
    }),
    Entry::new("push", Role::Push, |place| Box::pin(listen::open(place))),
    Entry::new("native", Role::Native, |place| Box::pin(advisory::native(place))),
    Entry::new("sqlx", Role::Peer, |place| Box::pin(advisory::sqlx(place))),
];

#[async_trait]
impl Database for Postgres {
    fn kind(&self) -> &'static Kind {
        &servers::POSTGRES
    }

    fn contenders(&self) -> &'static [Entry] {
        CONTENDERS
    }

    async fn prepare(&self, url: &str) -> Result<(), BoxError> {
        Ok(connect(url).await?.batch_execute(raw::SCHEMA).await?)
    }

    async fn version(&self, url: &str) -> Result<String, BoxError> {
        let row = connect(url).await?.query_one("SHOW server_version", &[]).await?;
        let version: &str = row.get(0);
        Ok(format!("PostgreSQL {}", version.split(' ').next().unwrap_or(version)))
    }

    async fn round_trips(&self, url: &str, samples: usize) -> Result<Vec<Duration>, BoxError> {
        let client = connect(url).await?;
        let mut took = Vec::with_capacity(samples);
        for _ in 0..samples {
            let begun = Instant::now();
            client.simple_query("").await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    async fn fill(&self, url: &str, space: &str, rows: usize) -> Result<(), BoxError> {
        let client = connect(url).await?;
        let rows = i64::try_from(rows)?;
        let insert = format!(
            "INSERT INTO \"{space}\" (name, lock_by, token, locked_at, expires_at)
             SELECT convert_to('row-' || lpad(number::text, 8, '0'), 'UTF8'), '-', 1, now(), now()
             FROM generate_series(0, $1::bigint - 1) AS number"
        );
        client.execute(&insert, &[&rows]).await?;
        Ok(client.batch_execute(&format!("VACUUM ANALYZE \"{space}\"")).await?)
    }
}

async fn golock(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    let store = PostgresStore::builder().table(&place.space).connect(&place.url).await?;
    Ok(Golock::over(store, place.lease))
}

/// A connection, driven by a task of its own, that ends with the client.
async fn connect(url: &str) -> Result<Client, BoxError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
