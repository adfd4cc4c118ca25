//! A file of SQLite, as ground for the suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use golock_conformance::{BoxError, Damage};
use golock_core::{FencingToken, LockName, LockStore};
use golock_sqlite::SqliteStore;
use rusqlite::{Connection, Params, params};

use super::Ground;
use crate::store::sqlite_path;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Sqlite(url.to_owned()))
}

struct Sqlite(String);

impl Sqlite {
    fn run(&self, sql: &str, values: impl Params) -> Result<(), BoxError> {
        let connection = Connection::open(sqlite_path(&self.0))?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute(sql, values)?;
        Ok(())
    }
}

#[async_trait]
impl Ground for Sqlite {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(SqliteStore::builder().table(space).connect(&self.0).await?))
    }
}

#[async_trait]
impl Damage for Sqlite {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.run(&format!("DELETE FROM {space} WHERE name = ?"), [name.as_bytes()])
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.run(&format!("DELETE FROM {space}"), [])
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        self.run(
            &format!("UPDATE {space} SET token = ? WHERE name = ?"),
            params![token.get(), name.as_bytes()],
        )
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.run(&format!("DROP TABLE IF EXISTS {space}"), [])
    }
}
