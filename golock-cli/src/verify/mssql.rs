//! A database of SQL Server, as ground for the suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use golock_conformance::{BoxError, Sql};
use golock_core::LockStore;
use golock_mssql::{MssqlStore, ToolSessions};

use super::Ground;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Mssql(url.to_owned()))
}

struct Mssql(String);

#[async_trait]
impl Ground for Mssql {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(MssqlStore::builder().table(space).connect(&self.0).await?))
    }
}

#[async_trait]
impl Sql for Mssql {
    async fn run(&self, sql: String) -> Result<(), BoxError> {
        ToolSessions::at(&self.0, Duration::from_secs(10))?.query(&sql, &[]).await?;
        Ok(())
    }

    fn table(&self, space: &str) -> String {
        format!("dbo.{space}")
    }

    /// The table has a byte of its own behind each name.
    fn literal(&self, hex: &str) -> String {
        format!("0x{hex}01")
    }
}
