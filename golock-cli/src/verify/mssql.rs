//! A database of SQL Server, as ground for the suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use golock_conformance::{BoxError, Damage};
use golock_core::{FencingToken, LockName, LockStore};
use golock_mssql::tiberius::ToSql;
use golock_mssql::{MssqlStore, ToolSessions};

use super::Ground;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Mssql(url.to_owned()))
}

struct Mssql(String);

impl Mssql {
    async fn run(&self, sql: &str, values: &[&dyn ToSql]) -> Result<(), BoxError> {
        ToolSessions::at(&self.0, Duration::from_secs(10))?.query(sql, values).await?;
        Ok(())
    }
}

#[async_trait]
impl Ground for Mssql {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(MssqlStore::builder().table(space).connect(&self.0).await?))
    }
}

#[async_trait]
impl Damage for Mssql {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.run(&format!("DELETE FROM dbo.{space} WHERE name = @P1"), &[&key(name)]).await
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.run(&format!("TRUNCATE TABLE dbo.{space}"), &[]).await
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        let sql = format!("UPDATE dbo.{space} SET token = @P2 WHERE name = @P1");
        self.run(&sql, &[&key(name), &token.get()]).await
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.run(&format!("DROP TABLE IF EXISTS dbo.{space}"), &[]).await
    }
}

/// The key of a name, as the table has it.
fn key(name: &LockName) -> Vec<u8> {
    [name.as_bytes(), &[1]].concat()
}
