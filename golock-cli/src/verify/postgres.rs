//! A database of PostgreSQL, as ground for the suite.

use std::sync::Arc;

use async_trait::async_trait;
use golock_conformance::{BoxError, Damage};
use golock_core::{FencingToken, LockName, LockStore};
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
impl Damage for Postgres {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        let sql = format!("DELETE FROM {space} WHERE name = $1");
        tool_session(&self.0).await?.execute(&sql, &[&name.as_bytes()]).await?;
        Ok(())
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        Ok(tool_session(&self.0).await?.batch_execute(&format!("TRUNCATE {space}")).await?)
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        let sql = format!("UPDATE {space} SET token = $2 WHERE name = $1");
        tool_session(&self.0).await?.execute(&sql, &[&name.as_bytes(), &token.get()]).await?;
        Ok(())
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        Ok(tool_session(&self.0).await?.batch_execute(&format!("DROP TABLE IF EXISTS {space}")).await?)
    }
}
