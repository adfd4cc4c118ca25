//! Statements of a tool that looks at a server besides locking on it: on a session as golock's own are.

use std::sync::Arc;
use std::time::Duration;

use golock_core::StoreError;
use golock_core::store::Operation;
use tiberius::{Row, ToSql};

use crate::session::Lane;
use crate::url;

/// Sessions of a tool's own.
#[allow(missing_debug_implementations, reason = "it is no part of the public interface")]
pub struct ToolSessions(Lane);

impl ToolSessions {
    /// On the server at `url`. None is opened yet.
    ///
    /// # Errors
    /// [`StoreError`] if the URL can't be right.
    pub fn at(url: &str, within: Duration) -> Result<Self, StoreError> {
        Ok(Self(Lane::new(&url::parse(url)?, 1, within, within, &Arc::default())))
    }

    /// The rows of one statement.
    ///
    /// # Errors
    /// [`StoreError`], as of [`connect`](crate::connect), or the statement's.
    pub async fn query(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<Vec<Row>, StoreError> {
        self.0.query(Operation::Inspect, sql, parameters).await
    }
}
