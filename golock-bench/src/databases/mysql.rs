//! MariaDB and MySQL. There is no other crate to compare with: distributed-lock's needs OpenSSL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Conn, Opts, OptsBuilder};

use super::Database;
use crate::contender::{BoxError, Client, Contender, Entry, POLL, Place, Role};
use crate::golock::Golock;
use crate::servers::{self, Kind};

pub(crate) struct Mysql {
    kind: &'static Kind,
}

pub(crate) const MARIADB: Mysql = Mysql { kind: &servers::MARIADB };
pub(crate) const MYSQL: Mysql = Mysql { kind: &servers::MYSQL };

const CONTENDERS: &[Entry] = &[
    Entry::new("golock", Role::Golock, |place| Box::pin(golock(place))).renewing(),
    Entry::new("raw", Role::Floor, |place| Box::pin(async { Ok(session_each(place, Locks::Row)) })),
    Entry::new("native", Role::Native, |place| Box::pin(async { Ok(session_each(place, Locks::Session)) })),
];

#[async_trait]
impl Database for Mysql {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn contenders(&self) -> &'static [Entry] {
        CONTENDERS
    }

    async fn prepare(&self, url: &str) -> Result<(), BoxError> {
        let schema = "CREATE TABLE IF NOT EXISTS bench_raw
            (name VARBINARY(255) PRIMARY KEY, grant_id BIGINT, expires_at DATETIME(6) NOT NULL) ENGINE = InnoDB";
        Ok(connect(url).await?.query_drop(schema).await?)
    }

    async fn version(&self, url: &str) -> Result<String, BoxError> {
        let version: Option<String> = connect(url).await?.query_first("SELECT VERSION()").await?;
        let version = version.unwrap_or_default();
        let name = if self.kind.id == "mariadb" { "MariaDB" } else { "MySQL" };
        Ok(format!("{name} {}", version.split('-').next().unwrap_or(&version)))
    }

    async fn round_trips(&self, url: &str, samples: usize) -> Result<Vec<Duration>, BoxError> {
        let mut conn = connect(url).await?;
        let mut took = Vec::with_capacity(samples);
        for _ in 0..samples {
            let begun = Instant::now();
            conn.ping().await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    async fn fill(&self, url: &str, space: &str, rows: usize) -> Result<(), BoxError> {
        let mut conn = connect(url).await?;
        let digit = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
                      UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
        let insert = format!(
            "INSERT INTO `{space}` (name, lock_by, token, locked_at, expires_at)
             SELECT CONCAT('row-', LPAD(number, 8, '0')), '-', 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)
             FROM (SELECT a.d + 10*b.d + 100*c.d + 1000*d.d + 10000*e.d + 100000*f.d AS number
                   FROM {digit} a, {digit} b, {digit} c, {digit} d, {digit} e, {digit} f) AS numbers
             WHERE number < {rows}"
        );
        conn.query_drop(insert).await?;
        Ok(conn.query_drop(format!("ANALYZE TABLE `{space}`")).await?)
    }
}

async fn golock(place: Place) -> Result<Arc<dyn Contender>, BoxError> {
    let store = MysqlStore::builder().table(&place.space).connect(&place.url).await?;
    Ok(Golock::over(store, place.lease))
}

async fn connect(url: &str) -> Result<Conn, BoxError> {
    let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
    Ok(Conn::new(opts).await?)
}

/// What is locked by a session of its own for each task.
#[derive(Clone, Copy)]
enum Locks {
    /// The floor: one conditional upsert, and an update that frees it.
    Row,
    /// `GET_LOCK`.
    Session,
}

fn session_each(place: Place, locks: Locks) -> Arc<dyn Contender> {
    Arc::new(Sessions { url: place.url, locks })
}

struct Sessions {
    url: String,
    locks: Locks,
}

#[async_trait]
impl Contender for Sessions {
    async fn client(&self) -> Result<Box<dyn Client>, BoxError> {
        let mut conn = connect(&self.url).await?;
        // As golock's sessions: nothing but the row itself is locked.
        conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        let session = Session { conn, grants: 0, held: None };
        Ok(match self.locks {
            Locks::Row => Box::new(RowTask(session)),
            Locks::Session => Box::new(NativeTask(session)),
        })
    }
}

struct Session {
    conn: Conn,
    grants: u64,
    held: Option<String>,
}

struct RowTask(Session);

#[async_trait]
impl Client for RowTask {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let Session { conn, grants, held } = &mut self.0;
        *grants += 1;
        // From left to right, each assignment sees what those before it have assigned.
        let acquire = "
            INSERT INTO bench_raw (name, grant_id, expires_at) VALUES (?, ?, UTC_TIMESTAMP(6) + INTERVAL 60 SECOND)
            ON DUPLICATE KEY UPDATE
                grant_id   = IF(expires_at <= UTC_TIMESTAMP(6), ?, grant_id),
                expires_at = IF(expires_at <= UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 60 SECOND, expires_at)";
        loop {
            conn.exec_drop(acquire, (name, *grants, *grants)).await?;
            if conn.affected_rows() > 0 {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        *held = Some(name.to_owned());
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        let Session { conn, grants, held } = &mut self.0;
        if let Some(name) = held.take() {
            let release = "
                UPDATE bench_raw SET grant_id = NULL, expires_at = UTC_TIMESTAMP(6) WHERE name = ? AND grant_id = ?";
            conn.exec_drop(release, (name, *grants)).await?;
        }
        Ok(())
    }
}

struct NativeTask(Session);

#[async_trait]
impl Client for NativeTask {
    async fn lock(&mut self, name: &str) -> Result<(), BoxError> {
        let won: Option<Option<i64>> = self.0.conn.exec_first("SELECT GET_LOCK(?, 60)", (name,)).await?;
        if won != Some(Some(1)) {
            return Err("GET_LOCK gave up".into());
        }
        self.0.held = Some(name.to_owned());
        Ok(())
    }

    async fn unlock(&mut self) -> Result<(), BoxError> {
        if let Some(name) = self.0.held.take() {
            self.0.conn.exec_drop("DO RELEASE_LOCK(?)", (name,)).await?;
        }
        Ok(())
    }
}
