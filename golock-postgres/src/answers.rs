//! From rows to answers.

use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, HandOverAnswer, LockInfo, Operation, ReleaseAnswer, RenewAnswer, StoreError,
    StoreErrorKind,
};
use golock_core::{FencingToken, Holder, InvalidInput, Label, LockName, LostReason};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::{call_failed, failure};

/// The answers in the order of the requests: each row says by `nr` which one it answers, counted from 1.
pub(crate) fn in_order<T>(
    operation: Operation,
    requests: usize,
    rows: &[Row],
    answer: impl Fn(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut answers: Vec<Option<T>> = (0..requests).map(|_| None).collect();
    for row in rows {
        let nr: i64 = column(operation, row, "nr")?;
        if let Some(place) = usize::try_from(nr - 1).ok().and_then(|at| answers.get_mut(at)) {
            *place = Some(answer(row)?);
        }
    }
    let answers: Option<Vec<T>> = answers.into_iter().collect();
    answers.ok_or_else(|| {
        failure(operation, StoreErrorKind::Other, format!("{} answers to {requests} requests", rows.len()))
    })
}

pub(crate) fn acquired(row: &Row) -> Result<AcquireAnswer, StoreError> {
    let doing = Operation::Acquire;
    let remaining: Option<i64> = column(doing, row, "remaining")?;
    Ok(match (column(doing, row, "granted")?, remaining) {
        (true, Some(remaining)) => {
            AcquireAnswer::granted(FencingToken::new(column(doing, row, "token")?), micros(remaining))
        }
        (false, Some(remaining)) if remaining > 0 => AcquireAnswer::Held(holder(doing, row)?),
        _ => AcquireAnswer::Raced,
    })
}

/// `None`: the row is locked by another transaction, or changed just now.
pub(crate) fn renewed(row: &Row) -> Result<Option<RenewAnswer>, StoreError> {
    let doing = Operation::Renew;
    Ok(Some(match column(doing, row, "outcome")? {
        "renewed" => RenewAnswer::renewed(micros(column(doing, row, "remaining")?)),
        "gone" => RenewAnswer::Lost(LostReason::RowGone),
        "revoked" => RenewAnswer::Lost(LostReason::Revoked),
        "expired" => RenewAnswer::Lost(LostReason::Expired),
        "taken" => RenewAnswer::Lost(LostReason::Taken),
        _ => return Ok(None),
    }))
}

/// `None`: the row is locked by another transaction, or changed just now.
pub(crate) fn released(row: &Row) -> Result<Option<ReleaseAnswer>, StoreError> {
    Ok(Some(match column(Operation::Release, row, "outcome")? {
        "released" => ReleaseAnswer::Released,
        "already" => ReleaseAnswer::AlreadyReleased,
        "taken" => ReleaseAnswer::NotYours(LostReason::Taken),
        "gone" => ReleaseAnswer::NotYours(LostReason::RowGone),
        _ => return Ok(None),
    }))
}

/// Of a hand-over that gave the grant back: whether the next has the name.
pub(crate) fn handed_over(row: &Row) -> Result<HandOverAnswer, StoreError> {
    let doing = Operation::HandOver;
    let next = if column(doing, row, "granted")? {
        let token = FencingToken::new(column(doing, row, "token")?);
        AcquireAnswer::granted(token, micros(column(doing, row, "remaining")?))
    } else {
        AcquireAnswer::Raced
    };
    Ok(HandOverAnswer::new(ReleaseAnswer::Released, next))
}

pub(crate) fn listed(operation: Operation, row: &Row) -> Result<LockInfo, StoreError> {
    let name: &[u8] = column(operation, row, "name")?;
    let name = std::str::from_utf8(name).ok().and_then(|name| LockName::new(name).ok());
    let name =
        name.ok_or_else(|| failure(operation, StoreErrorKind::Other, "a name that golock did not write"))?;
    Ok(LockInfo::new(name, holder(operation, row)?, column(operation, row, "released")?))
}

fn holder(operation: Operation, row: &Row) -> Result<Holder, StoreError> {
    Ok(Holder::new(
        label(column(operation, row, "lock_by")?)
            .map_err(|error| failure(operation, StoreErrorKind::Other, error))?,
        micros(column(operation, row, "held_for")?),
        micros(column(operation, row, "remaining")?),
        FencingToken::new(column(operation, row, "token")?),
    ))
}

/// A label that somebody else wrote into the table must not hide the lock.
fn label(bytes: &[u8]) -> Result<Label, InvalidInput> {
    Label::new(&*String::from_utf8_lossy(bytes)).or_else(|_| Label::new("(unreadable)"))
}

pub(crate) fn column<'a, T: FromSql<'a>>(
    operation: Operation,
    row: &'a Row,
    name: &str,
) -> Result<T, StoreError> {
    row.try_get(name).map_err(|error| call_failed(operation, error))
}

/// Nothing less than nothing: the server's clock goes on while it answers, and may be set back.
fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
