//! A file of SQLite, as ground for the suite.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use golock_conformance::{BoxError, Sql};
use golock_core::LockStore;
use golock_sqlite::SqliteStore;
use rusqlite::Connection;

use super::Ground;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Sqlite(url.to_owned()))
}

/// The path in a URL that golock-sqlite has accepted.
pub(crate) fn path(url: &str) -> PathBuf {
    let path = url.split_once("://").map_or(url, |(_, path)| path);
    PathBuf::from(&*percent_encoding::percent_decode_str(path).decode_utf8_lossy())
}

struct Sqlite(String);

#[async_trait]
impl Ground for Sqlite {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(SqliteStore::builder().table(space).connect(&self.0).await?))
    }
}

#[async_trait]
impl Sql for Sqlite {
    async fn run(&self, sql: String) -> Result<(), BoxError> {
        let connection = Connection::open(path(&self.0))?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute(&sql, [])?;
        Ok(())
    }

    fn truncate(&self) -> &'static str {
        "DELETE FROM"
    }
}
