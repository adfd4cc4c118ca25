//! A database of MySQL or MariaDB, as ground for the suite.

use std::sync::Arc;

use async_trait::async_trait;
use golock_conformance::{BoxError, Sql};
use golock_core::LockStore;
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Conn, Error, Opts};

use super::Ground;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Mysql(url.to_owned()))
}

/// A session as golock opens its own: by TCP, unless the URL names a socket.
pub(crate) async fn session(url: &str) -> Result<Conn, Error> {
    Conn::new(golock_mysql::tool_options(&Opts::from_url(url)?)).await
}

struct Mysql(String);

#[async_trait]
impl Ground for Mysql {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(MysqlStore::builder().table(space).connect(&self.0).await?))
    }
}

#[async_trait]
impl Sql for Mysql {
    async fn run(&self, sql: String) -> Result<(), BoxError> {
        let mut session = session(&self.0).await?;
        session.query_drop(sql).await?;
        Ok(session.disconnect().await?)
    }
}
