//! Damage in SQL: the statements that databases share, each once.

use async_trait::async_trait;
use golock_core::{FencingToken, LockName};

use crate::fixture::{BoxError, Damage};

/// A database with SQL, whose spaces are tables with the columns `name` and `token`. Who runs statements on it as an
/// administrator does [`Damage`].
#[async_trait]
pub trait Sql: Send + Sync {
    /// Runs one statement.
    ///
    /// # Errors
    /// The server's.
    async fn run(&self, sql: String) -> Result<(), BoxError>;

    /// The table of a space, as statements call it.
    fn table(&self, space: &str) -> String {
        space.to_owned()
    }

    /// The bytes of a lock's name, given in hexadecimal digits, as the column has them.
    fn literal(&self, hex: &str) -> String {
        format!("X'{hex}'")
    }

    /// The words before a table's name that empty it at once.
    fn truncate(&self) -> &'static str {
        "TRUNCATE TABLE"
    }
}

#[async_trait]
impl<T: Sql> Damage for T {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.run(format!("DELETE FROM {} WHERE {}", self.table(space), is(self, name))).await
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.run(format!("{} {}", self.truncate(), self.table(space))).await
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        self.run(format!("UPDATE {} SET token = {token} WHERE {}", self.table(space), is(self, name))).await
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.run(format!("DROP TABLE IF EXISTS {}", self.table(space))).await
    }
}

/// The condition that finds the row of `name`.
fn is(database: &impl Sql, name: &LockName) -> String {
    let hex: String = name.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("name = {}", database.literal(&hex))
}
