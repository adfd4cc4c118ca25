//! A database of MySQL or MariaDB, as ground for the suite.

use std::sync::Arc;

use async_trait::async_trait;
use golock_conformance::{BoxError, Damage};
use golock_core::{FencingToken, LockName, LockStore};
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Conn, Error, OptsBuilder, Params};

use super::Ground;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Mysql(url.to_owned()))
}

/// A session as golock opens its own: by TCP, unless the URL names a socket.
pub(crate) async fn session(url: &str) -> Result<Conn, Error> {
    let opts = golock_mysql::mysql_async::Opts::from_url(url)?;
    Conn::new(OptsBuilder::from_opts(opts).prefer_socket(false)).await
}

struct Mysql(String);

impl Mysql {
    async fn run(&self, sql: String, values: impl Into<Params> + Send) -> Result<(), BoxError> {
        let mut session = session(&self.0).await?;
        session.exec_drop(sql, values.into()).await?;
        Ok(session.disconnect().await?)
    }
}

#[async_trait]
impl Ground for Mysql {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(MysqlStore::builder().table(space).connect(&self.0).await?))
    }
}

#[async_trait]
impl Damage for Mysql {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.run(format!("DELETE FROM {space} WHERE name = ?"), (name.as_bytes(),)).await
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.run(format!("TRUNCATE {space}"), ()).await
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        self.run(format!("UPDATE {space} SET token = ? WHERE name = ?"), (token.get(), name.as_bytes())).await
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.run(format!("DROP TABLE IF EXISTS {space}"), ()).await
    }
}
