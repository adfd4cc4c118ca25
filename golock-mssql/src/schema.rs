//! Creating the table, by as many processes at once as may start.

use golock_core::store::{Operation, StoreError};

use crate::answers::column;
use crate::session::Lane;
use crate::statements::Statements;
use crate::table::Table;

/// Two that create the same table collide once; a schema besides, twice.
const TRIES: usize = 3;

/// Creates `table`, unless it is there: a login that may not create tables can use one that is.
pub(crate) async fn ensure(lane: &Lane, table: &Table, statements: &Statements) -> Result<(), StoreError> {
    let mut tries = 1..TRIES;
    loop {
        if exists(lane, table, statements).await? {
            return Ok(());
        }
        match lane.session().await?.execute(Operation::CreateSchema, &statements.create).await {
            Ok(()) => return Ok(()),
            // Of two at once one fails, in one of several ways. All that counts is whether the table is there then.
            Err(error) if exists(lane, table, statements).await? => {
                tracing::debug!(%error, %table, "another created the table first");
                return Ok(());
            }
            Err(error) if tries.next().is_none() || !is_collision(&error) => return Err(error),
            Err(_) => {}
        }
    }
}

async fn exists(lane: &Lane, table: &Table, statements: &Statements) -> Result<bool, StoreError> {
    let rows = lane.query(Operation::CreateSchema, &statements.exists, &[&table.to_string()]).await?;
    rows.first().map_or(Ok(false), |row| column(Operation::CreateSchema, row, "is_there"))
}

/// Another creates the same, and is not done yet.
fn is_collision(error: &StoreError) -> bool {
    /// There is already an object of this name; `CREATE SCHEMA` failed, for that reason.
    const ALREADY: [u32; 2] = [2714, 2759];
    let source =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<tiberius::error::Error>());
    error.kind() == golock_core::StoreErrorKind::Conflict
        || source.and_then(tiberius::error::Error::code).is_some_and(|number| ALREADY.contains(&number))
}
