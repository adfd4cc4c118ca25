//! Creating the table.

use golock_core::backend::Creation;
use golock_core::store::{Operation, StoreError};

use crate::answers::column;
use crate::error::is_collision;
use crate::session::Lane;
use crate::statements::Statements;
use crate::table::Table;

/// Creates `table`, unless that is done.
pub(crate) async fn ensure(
    creation: &Creation,
    lane: &Lane,
    table: &Table,
    statements: &Statements,
) -> Result<(), StoreError> {
    let exists = || async {
        let table = table.to_string();
        let rows = lane.query(Operation::CreateSchema, &statements.exists, &[&table]).await?;
        rows.first().map_or(Ok(false), |row| column(Operation::CreateSchema, row, "is_there"))
    };
    let create = || lane.execute(Operation::CreateSchema, &statements.create);
    creation.ready(exists, create, is_collision).await
}
