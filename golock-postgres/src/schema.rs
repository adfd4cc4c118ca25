//! Creating the table, by as many processes at once as may start.

use golock_core::store::{Operation, StoreError};

use crate::answers::column;
use crate::error::is_collision;
use crate::session::Session;

/// Two that create the same table collide once; a schema besides, twice.
const TRIES: usize = 3;

/// Creates `table` by `create`, unless it is there: a role that may not create tables can use one that is.
pub(crate) async fn ensure(session: &mut Session, table: &str, create: &str) -> Result<(), StoreError> {
    let mut tries = 1..TRIES;
    loop {
        if exists(session, table).await? {
            return Ok(());
        }
        // `IF NOT EXISTS` looks before it leaps, so of two at once one fails, in one of several ways. All that
        // counts is whether the table is there then.
        match session.execute(Operation::CreateSchema, create).await {
            Ok(()) => return Ok(()),
            Err(error) if exists(session, table).await? => {
                tracing::debug!(%error, table, "another created the table first");
                return Ok(());
            }
            Err(error) if tries.next().is_none() || !is_collision(&error) => return Err(error),
            Err(_) => {}
        }
    }
}

async fn exists(session: &mut Session, table: &str) -> Result<bool, StoreError> {
    let sql = "SELECT to_regclass($1::text) IS NOT NULL AS is_there";
    let rows = session.query(Operation::CreateSchema, sql, &[&table]).await?;
    rows.first().map_or(Ok(false), |row| column(Operation::CreateSchema, row, "is_there"))
}
