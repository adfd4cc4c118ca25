//! A database of PostgreSQL, as ground for the suite.

use std::sync::Arc;

use async_trait::async_trait;
use golock_conformance::{BoxError, Sql};
use golock_core::LockStore;
use golock_postgres::{PostgresStore, tool_session};

use super::Ground;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Postgres(url.to_owned()))
}

struct Postgres(String);

#[async_trait]
impl Ground for Postgres {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(PostgresStore::builder().table(space).connect(&self.0).await?))
    }
}

#[async_trait]
impl Sql for Postgres {
    async fn run(&self, sql: String) -> Result<(), BoxError> {
        Ok(tool_session(&self.0).await?.batch_execute(&sql).await?)
    }

    fn literal(&self, hex: &str) -> String {
        format!("decode('{hex}', 'hex')")
    }
}
