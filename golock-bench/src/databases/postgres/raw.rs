//! The floor: one conditional upsert, and an update that frees it, pipelined over 8 connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio_postgres::{Client as Driver, Statement};

use super::connect;
use crate::contender::{BoxError, Client, Contender, POLL, Place};

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS bench_raw
        (name bytea PRIMARY KEY, grant_id bigint, expires_at timestamptz NOT NULL) WITH (fillfactor = 70);
    CREATE TABLE IF NOT EXISTS bench_push
        (name bytea PRIMARY KEY, grant_id bigint, expires_at timestamptz NOT NULL) WITH (fillfactor = 70)";

const CONNECTIONS: usize = 8;

/// Takes a name that is free, whether it was seen before or not. No row is changed: it is held.
pub(super) fn acquire(table: &str) -> String {
    format!(
        "INSERT INTO {table} AS row (name, grant_id, expires_at)
         VALUES ($1, $2, clock_timestamp() + interval '60 seconds')
         ON CONFLICT (name) DO UPDATE SET grant_id = excluded.grant_id, expires_at = excluded.expires_at
         WHERE row.expires_at <= clock_timestamp()"
    )
}

const RELEASE: &str =
    "UPDATE bench_raw SET grant_id = NULL, expires_at = clock_timestamp() WHERE name = $1 AND grant_id = $2";

/// The same, but its commit does not wait for the disk.
const RELEASE_SOON: &str = "
    WITH freed AS (
        UPDATE bench_raw SET grant_id = NULL, expires_at = clock_timestamp() WHERE name = $1 AND grant_id = $2 RETURNING 1
    )
    SELECT set_config('synchronous_commit', 'off', true) FROM freed";

/// Whether a release waits for the disk. Acquires always do.
#[derive(Clone, Copy)]
pub(super) enum Release {
    Synchronous,
    Asynchronous,
}

pub(super) async fn open(place: Place, release: Release) -> Result<Arc<dyn Contender>, BoxError> {
    let release = match release {
        Release::Synchronous => RELEASE,
        Release::Asynchronous => RELEASE_SOON,
    };
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let driver = connect(&place.url).await?;
        let acquire = driver.prepare(&acquire("bench_raw")).await?;
        let release = driver.prepare(release).await?;
        connections.push(Arc::new(Connection { driver, acquire, release }));
    }
    Ok(Arc::new(Raw { connections, clients: AtomicUsize::new(0) }))
}

struct Raw {
    connections: Vec<Arc<Connection>>,
    clients: AtomicUsize,
}

struct Connection {
    driver: Driver,
    acquire: Statement,
    release: Statement,
}

#[async_trait]
impl Contender for Raw {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        let next = self.clients.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::clone(&self.connections[next % CONNECTIONS]);
        Ok(Box::new(Task { connection, grants: 0, held: None }))
    }
}

struct Task {
    connection: Arc<Connection>,
    grants: i64,
    held: Option<Vec<u8>>,
}

#[async_trait]
impl Client for Task {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let name = name.as_bytes().to_vec();
        self.grants += 1;
        while self.connection.driver.execute(&self.connection.acquire, &[&name, &self.grants]).await? == 0 {
            tokio::time::sleep(POLL).await;
        }
        self.held = Some(name);
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some(name) = self.held.take() {
            self.connection.driver.execute(&self.connection.release, &[&name, &self.grants]).await?;
        }
        Ok(())
    }
}
