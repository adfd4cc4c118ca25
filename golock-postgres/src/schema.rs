//! Creating the table.

use golock_core::backend::Creation;
use golock_core::store::{Operation, StoreError};

use crate::answers::column;
use crate::error::is_collision;
use crate::session::Lane;
use crate::table::Table;

/// Creates `table` by `create`, unless that is done.
pub(crate) async fn ensure(
    creation: &Creation,
    lane: &Lane,
    table: &Table,
    create: &str,
) -> Result<(), StoreError> {
    let exists = || async {
        let table = table.to_string();
        let sql = "SELECT to_regclass($1::text) IS NOT NULL AS is_there";
        let rows = lane.query(Operation::CreateSchema, sql, &[&table]).await?;
        rows.first().map_or(Ok(false), |row| column(Operation::CreateSchema, row, "is_there"))
    };
    creation.ready(exists, || lane.execute(Operation::CreateSchema, create), is_collision).await
}
