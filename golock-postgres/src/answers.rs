//! From rows to answers.

use golock_core::backend::{Verdict, from_micros, in_order};
use golock_core::store::{LockInfo, Operation, StoreError, StoreErrorKind};
use golock_core::{FencingToken, Label, LockName};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::{BACKEND, call_failed};

/// An answer to each request: a row says by `nr` which one it answers, counted from 1.
pub(crate) fn each<T>(
    operation: Operation,
    requests: usize,
    rows: &[Row],
    answer: impl Fn(Verdict) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let place = |row| {
        Ok(usize::try_from(column::<i64>(operation, row, "nr")?.saturating_sub(1)).unwrap_or(usize::MAX))
    };
    let answer = |row| Ok((place(row)?, answer(verdict(operation, row)?)?));
    let answers: Result<Vec<_>, _> = rows.iter().map(answer).collect();
    in_order(requests, answers?)
        .map_err(|why| StoreError::new(BACKEND, operation, StoreErrorKind::Other, why))
}

/// `None`: it is free.
pub(crate) fn listed(operation: Operation, row: &Row) -> Result<Option<LockInfo>, StoreError> {
    let name = LockName::read(column(operation, row, "name")?).ok_or_else(|| {
        StoreError::new(BACKEND, operation, StoreErrorKind::Other, "a name that golock did not write")
    })?;
    verdict(operation, row)?.info(name)
}

/// What a row says: `outcome`, and of the rest what the statement has.
pub(crate) fn verdict(operation: Operation, row: &Row) -> Result<Verdict, StoreError> {
    Ok(Verdict {
        token: told(operation, row, "token")?.map(FencingToken::new),
        remaining: told(operation, row, "remaining")?.map(from_micros),
        held_for: told(operation, row, "held_for")?.map(from_micros),
        lock_by: told(operation, row, "lock_by")?.map(Label::read),
        ..Verdict::new(BACKEND, operation, column::<&str>(operation, row, "outcome")?)
    })
}

/// A column; `None` if the statement has it not, or the row.
fn told<'a, T: FromSql<'a>>(operation: Operation, row: &'a Row, name: &str) -> Result<Option<T>, StoreError> {
    let has_it = row.columns().iter().any(|column| column.name() == name);
    if has_it { column(operation, row, name) } else { Ok(None) }
}

pub(crate) fn column<'a, T: FromSql<'a>>(
    operation: Operation,
    row: &'a Row,
    name: &str,
) -> Result<T, StoreError> {
    row.try_get(name).map_err(|error| call_failed(operation, error))
}
