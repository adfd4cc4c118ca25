//! From rows to answers.

use golock_core::backend::{from_micros, in_order};
use golock_core::store::{
    AcquireAnswer, LockInfo, Operation, ReleaseAnswer, RenewAnswer, StoreError, StoreErrorKind,
};
use golock_core::{FencingToken, Holder, Label};
use tiberius::{FromSql, Row};

use crate::error::{call_failed, failure};
use crate::key::name;

/// `None`: the name has no row.
pub(crate) fn acquired(row: Option<&Row>) -> Result<AcquireAnswer, StoreError> {
    let doing = Operation::Acquire;
    let Some(row) = row else { return Ok(AcquireAnswer::Raced) };
    let (outcome, remaining): (&str, i64) =
        (column(doing, row, "outcome")?, column(doing, row, "remaining")?);
    Ok(match outcome {
        "granted" => AcquireAnswer::granted(token(doing, row)?, from_micros(remaining)),
        "held" if remaining > 0 => AcquireAnswer::Held(holder(doing, row)?),
        _ => AcquireAnswer::Raced,
    })
}

/// The answers in the order of the requests: each row says by `nr` which one of those sent it answers, and `order` which
/// of the requests that was.
pub(crate) fn renewed(order: &[usize], rows: &[Row]) -> Result<Vec<RenewAnswer>, StoreError> {
    let doing = Operation::Renew;
    let answer = |row| {
        let nr: i32 = column(doing, row, "nr")?;
        let at = usize::try_from(nr).ok().and_then(|nr| order.get(nr).copied());
        let outcome = column(doing, row, "outcome")?;
        let remaining: Option<i64> = row.try_get("remaining").map_err(|error| call_failed(doing, error))?;
        let answer = RenewAnswer::from_outcome(outcome, remaining.map(from_micros));
        Ok((at.unwrap_or(usize::MAX), answer.ok_or_else(|| unexpected(doing, outcome))?))
    };
    let answers: Result<Vec<_>, _> = rows.iter().map(answer).collect();
    in_order(order.len(), answers?).map_err(|why| failure(doing, StoreErrorKind::Other, why))
}

pub(crate) fn released(row: Option<&Row>) -> Result<ReleaseAnswer, StoreError> {
    let doing = Operation::Release;
    let row = row.ok_or_else(|| failure(doing, StoreErrorKind::Other, "no answer"))?;
    let outcome = column(doing, row, "outcome")?;
    ReleaseAnswer::from_outcome(outcome).ok_or_else(|| unexpected(doing, outcome))
}

fn unexpected(doing: Operation, outcome: &str) -> StoreError {
    failure(doing, StoreErrorKind::Other, format!("the outcome is {outcome}"))
}

pub(crate) fn listed(doing: Operation, row: &Row) -> Result<LockInfo, StoreError> {
    let key: &[u8] = column(doing, row, "name")?;
    let name =
        name(key).ok_or_else(|| failure(doing, StoreErrorKind::Other, "a name that golock did not write"))?;
    Ok(LockInfo::new(name, holder(doing, row)?, column(doing, row, "released")?))
}

pub(crate) fn token(doing: Operation, row: &Row) -> Result<FencingToken, StoreError> {
    column(doing, row, "token").map(FencingToken::new)
}

/// A column that is never NULL.
pub(crate) fn column<'a, T: FromSql<'a>>(
    doing: Operation,
    row: &'a Row,
    name: &str,
) -> Result<T, StoreError> {
    row.try_get(name)
        .map_err(|error| call_failed(doing, error))?
        .ok_or_else(|| failure(doing, StoreErrorKind::Other, format!("{name} is NULL")))
}

fn holder(doing: Operation, row: &Row) -> Result<Holder, StoreError> {
    Ok(Holder::new(
        Label::read(column::<&str>(doing, row, "lock_by")?.as_bytes()),
        from_micros(column(doing, row, "held_for")?),
        from_micros(column(doing, row, "remaining")?),
        token(doing, row)?,
    ))
}
