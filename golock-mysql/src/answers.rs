//! From rows to answers.

use std::collections::HashMap;

use golock_core::backend::{Record, Verdict, from_micros};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, LockInfo, Operation, ReleaseAnswer, RenewAnswer, StoreError,
    StoreErrorKind,
};
use golock_core::{FencingToken, GrantId, Label, LockName, LostReason};
use mysql_async::prelude::FromRow;
use mysql_async::{Row, from_row_opt};

use crate::error::{BACKEND, failure};

/// What became of a renewal.
pub(crate) struct Renewal {
    pub(crate) answer: RenewAnswer,
    /// Another transaction has locked the row. The lease is alive, and lasts so long as it was.
    pub(crate) is_busy: bool,
}

/// `row`: what there is of the name now.
pub(crate) fn acquired(request: &AcquireRequest, row: Option<Row>) -> Result<AcquireAnswer, StoreError> {
    let found = row.map(|row| found(Operation::Acquire, row)).transpose()?;
    Ok(Record::acquired(found.as_ref().map(|(_, found)| found), request.grant))
}

/// `rows`: what there is of the names now, in any order.
pub(crate) fn acquired_of_many(
    requests: &[AcquireRequest],
    rows: Vec<Row>,
) -> Result<Vec<AcquireAnswer>, StoreError> {
    let mut rows: HashMap<Vec<u8>, Row> =
        rows.into_iter().filter_map(|row| Some((row.get(0)?, row))).collect();
    requests.iter().map(|request| acquired(request, rows.remove(request.name.as_bytes()))).collect()
}

pub(crate) fn renewed(row: Row) -> Result<Renewal, StoreError> {
    let (outcome, remaining): (String, Option<i64>) = read(Operation::Renew, row)?;
    let is_busy = outcome == "busy";
    let outcome = if is_busy { "renewed".to_owned() } else { outcome };
    let remaining = remaining.map(from_micros);
    let answer = Verdict { remaining, ..Verdict::new(BACKEND, Operation::Renew, outcome) }.renewed()?;
    Ok(Renewal { answer, is_busy })
}

/// `outcome`: as the statement has it.
pub(crate) fn released(outcome: u64) -> Result<ReleaseAnswer, StoreError> {
    match outcome {
        1 | 5 => Ok(ReleaseAnswer::Released),
        2 => Ok(ReleaseAnswer::AlreadyReleased),
        3 => Ok(ReleaseAnswer::NotYours(LostReason::Taken)),
        4 => Ok(ReleaseAnswer::NotYours(LostReason::RowGone)),
        _ => Err(unreadable(Operation::Release, format!("the outcome of a release is {outcome}"))),
    }
}

/// `outcomes`: as the statement of many has them, a digit each. `None`: there is no row, or another transaction has
/// locked it.
pub(crate) fn released_of_many(outcomes: Row) -> Result<Vec<Option<ReleaseAnswer>>, StoreError> {
    let (outcomes,): (String,) = read(Operation::Release, outcomes)?;
    let each = outcomes.chars().map(|outcome| match outcome {
        '0' => Ok(None),
        outcome => released(outcome.to_digit(10).unwrap_or(0).into()).map(Some),
    });
    each.collect()
}

/// `None`: it is free by now.
pub(crate) fn listed(operation: Operation, row: Row) -> Result<Option<LockInfo>, StoreError> {
    let (name, found) = found(operation, row)?;
    let name =
        LockName::read(&name).ok_or_else(|| unreadable(operation, "a name that golock did not write"))?;
    Ok(found.info(name))
}

/// A row of the table, and its name.
fn found(operation: Operation, row: Row) -> Result<(Vec<u8>, Record), StoreError> {
    type Columns = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>, i64, i64, i64, i64);
    let (name, grant, released, lock_by, token, held_for, remaining, _now): Columns = read(operation, row)?;
    let found = Record {
        grant: grant.as_deref().and_then(GrantId::read),
        released: released.as_deref().and_then(GrantId::read),
        lock_by: Label::read(&lock_by),
        token: FencingToken::new(token),
        held_for: from_micros(held_for),
        remaining: from_micros(remaining),
    };
    Ok((name, found))
}

fn read<T: FromRow>(operation: Operation, row: Row) -> Result<T, StoreError> {
    from_row_opt(row).map_err(|_| unreadable(operation, "a row is not as the statement has it"))
}

fn unreadable(operation: Operation, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    failure(operation, StoreErrorKind::Other, why)
}
