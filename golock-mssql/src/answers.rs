//! From rows to answers.

use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, LockInfo, Operation, ReleaseAnswer, RenewAnswer, StoreError, StoreErrorKind,
};
use golock_core::{FencingToken, Holder, Label, LostReason};
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
        "granted" => AcquireAnswer::granted(token(doing, row)?, micros(remaining)),
        "held" if remaining > 0 => AcquireAnswer::Held(holder(doing, row)?),
        _ => AcquireAnswer::Raced,
    })
}

/// The answers in the order of the requests: each row says by `nr` which one of those sent it answers, and `order` which
/// of the requests that was.
pub(crate) fn renewed(order: &[usize], rows: &[Row]) -> Result<Vec<RenewAnswer>, StoreError> {
    let doing = Operation::Renew;
    let mut answers: Vec<Option<RenewAnswer>> = vec![None; order.len()];
    for row in rows {
        let nr: i32 = column(doing, row, "nr")?;
        let answer = match column(doing, row, "outcome")? {
            "renewed" => RenewAnswer::renewed(micros(column(doing, row, "remaining")?)),
            "gone" => RenewAnswer::Lost(LostReason::RowGone),
            "revoked" => RenewAnswer::Lost(LostReason::Revoked),
            "expired" => RenewAnswer::Lost(LostReason::Expired),
            _ => RenewAnswer::Lost(LostReason::Taken),
        };
        let at = usize::try_from(nr).ok().and_then(|nr| order.get(nr));
        if let Some(place) = at.and_then(|&at| answers.get_mut(at)) {
            *place = Some(answer);
        }
    }
    answers.into_iter().collect::<Option<_>>().ok_or_else(|| {
        failure(doing, StoreErrorKind::Other, format!("{} answers to {} requests", rows.len(), order.len()))
    })
}

pub(crate) fn released(row: Option<&Row>) -> Result<ReleaseAnswer, StoreError> {
    let doing = Operation::Release;
    let Some(row) = row else { return Err(failure(doing, StoreErrorKind::Other, "no answer")) };
    Ok(match column(doing, row, "outcome")? {
        "released" => ReleaseAnswer::Released,
        "already" => ReleaseAnswer::AlreadyReleased,
        "gone" => ReleaseAnswer::NotYours(LostReason::RowGone),
        _ => ReleaseAnswer::NotYours(LostReason::Taken),
    })
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
        label(column(doing, row, "lock_by")?)
            .map_err(|error| failure(doing, StoreErrorKind::Other, error))?,
        micros(column(doing, row, "held_for")?),
        micros(column(doing, row, "remaining")?),
        token(doing, row)?,
    ))
}

/// A label that somebody else wrote into the table must not hide the lock.
fn label(text: &str) -> Result<Label, golock_core::InvalidInput> {
    Label::new(text).or_else(|_| Label::new("(unreadable)"))
}

/// Nothing less than nothing: the server's clock goes on while it answers, and may be set back.
fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
