//! From rows to answers.

use golock_core::backend::{from_micros, in_order};
use golock_core::store::{
    AcquireAnswer, HandOverAnswer, LockInfo, Operation, ReleaseAnswer, RenewAnswer, StoreError,
    StoreErrorKind,
};
use golock_core::{FencingToken, Holder, Label, LockName};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::{call_failed, failure};

/// An answer to each request: a row says by `nr` which one it answers, counted from 1.
pub(crate) fn each<T>(
    operation: Operation,
    requests: usize,
    rows: &[Row],
    answer: impl Fn(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let place = |row| {
        Ok(usize::try_from(column::<i64>(operation, row, "nr")?.saturating_sub(1)).unwrap_or(usize::MAX))
    };
    let answers: Result<Vec<_>, _> = rows.iter().map(|row| Ok((place(row)?, answer(row)?))).collect();
    in_order(requests, answers?).map_err(|why| failure(operation, StoreErrorKind::Other, why))
}

pub(crate) fn acquired(row: &Row) -> Result<AcquireAnswer, StoreError> {
    let doing = Operation::Acquire;
    let remaining: Option<i64> = column(doing, row, "remaining")?;
    Ok(match (column(doing, row, "granted")?, remaining) {
        (true, Some(remaining)) => {
            AcquireAnswer::granted(FencingToken::new(column(doing, row, "token")?), from_micros(remaining))
        }
        (false, Some(remaining)) if remaining > 0 => AcquireAnswer::Held(holder(doing, row)?),
        _ => AcquireAnswer::Raced,
    })
}

/// `None`: the row is locked by another transaction, or changed just now.
pub(crate) fn renewed(row: &Row) -> Result<Option<RenewAnswer>, StoreError> {
    let doing = Operation::Renew;
    let (outcome, remaining) =
        (column(doing, row, "outcome")?, column::<Option<i64>>(doing, row, "remaining")?);
    if outcome == "busy" {
        return Ok(None);
    }
    let answer = RenewAnswer::from_outcome(outcome, remaining.map(from_micros));
    answer.map(Some).ok_or_else(|| unexpected(doing, outcome))
}

/// `None`: the row is locked by another transaction, or changed just now.
pub(crate) fn released(row: &Row) -> Result<Option<ReleaseAnswer>, StoreError> {
    let doing = Operation::Release;
    match column(doing, row, "outcome")? {
        "busy" => Ok(None),
        outcome => ReleaseAnswer::from_outcome(outcome).map(Some).ok_or_else(|| unexpected(doing, outcome)),
    }
}

/// Of a hand-over that gave the grant back: whether the next has the name.
pub(crate) fn handed_over(row: &Row) -> Result<HandOverAnswer, StoreError> {
    let doing = Operation::HandOver;
    let next = if column(doing, row, "granted")? {
        let token = FencingToken::new(column(doing, row, "token")?);
        AcquireAnswer::granted(token, from_micros(column(doing, row, "remaining")?))
    } else {
        AcquireAnswer::Raced
    };
    Ok(HandOverAnswer::new(ReleaseAnswer::Released, next))
}

pub(crate) fn listed(operation: Operation, row: &Row) -> Result<LockInfo, StoreError> {
    let name = LockName::read(column(operation, row, "name")?)
        .ok_or_else(|| failure(operation, StoreErrorKind::Other, "a name that golock did not write"))?;
    Ok(LockInfo::new(name, holder(operation, row)?, column(operation, row, "released")?))
}

fn holder(operation: Operation, row: &Row) -> Result<Holder, StoreError> {
    Ok(Holder::new(
        Label::read(column(operation, row, "lock_by")?),
        from_micros(column(operation, row, "held_for")?),
        from_micros(column(operation, row, "remaining")?),
        FencingToken::new(column(operation, row, "token")?),
    ))
}

fn unexpected(operation: Operation, outcome: &str) -> StoreError {
    failure(operation, StoreErrorKind::Other, format!("the outcome is {outcome}"))
}

pub(crate) fn column<'a, T: FromSql<'a>>(
    operation: Operation,
    row: &'a Row,
    name: &str,
) -> Result<T, StoreError> {
    row.try_get(name).map_err(|error| call_failed(operation, error))
}
