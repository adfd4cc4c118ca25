//! From rows to answers.

use std::collections::HashMap;

use golock_core::backend::from_micros;
use golock_core::store::{
    AcquireAnswer, AcquireRequest, LockInfo, Operation, ReleaseAnswer, RenewAnswer, StoreError,
    StoreErrorKind,
};
use golock_core::{FencingToken, Holder, Label, LockName, LostReason};
use mysql_async::prelude::FromRow;
use mysql_async::{Row, from_row_opt};

use crate::error::failure;

/// A row of the table.
struct Found {
    name: Vec<u8>,
    grant: Option<Vec<u8>>,
    released_grant: Option<Vec<u8>>,
    lock_by: Vec<u8>,
    token: FencingToken,
    held_for: i64,
    /// In µs; not above zero: free.
    remaining: i64,
}

/// What became of a renewal.
pub(crate) struct Renewal {
    pub(crate) answer: RenewAnswer,
    /// Another transaction has locked the row. The lease is alive, and lasts so long as it was.
    pub(crate) is_busy: bool,
}

/// `row`: what there is of the name now.
pub(crate) fn acquired(request: &AcquireRequest, row: Option<Row>) -> Result<AcquireAnswer, StoreError> {
    let Some(row) = row else { return Ok(AcquireAnswer::Raced) };
    let found = Found::read(Operation::Acquire, row)?;
    Ok(if request.grant.matches(found.grant.as_deref()) {
        AcquireAnswer::granted(found.token, from_micros(found.remaining))
    } else if found.remaining > 0 && !request.grant.matches(found.released_grant.as_deref()) {
        AcquireAnswer::Held(found.holder())
    } else {
        AcquireAnswer::Raced
    })
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
    let word = if is_busy { "renewed" } else { &*outcome };
    RenewAnswer::from_outcome(word, remaining.map(from_micros))
        .map(|answer| Renewal { answer, is_busy })
        .ok_or_else(|| unreadable(Operation::Renew, format!("the outcome of a renewal is {outcome}")))
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

pub(crate) fn listed(operation: Operation, row: Row) -> Result<LockInfo, StoreError> {
    let found = Found::read(operation, row)?;
    let name = LockName::read(&found.name)
        .ok_or_else(|| unreadable(operation, "a name that golock did not write"))?;
    Ok(LockInfo::new(name, found.holder(), found.grant.is_none()))
}

impl Found {
    fn read(operation: Operation, row: Row) -> Result<Self, StoreError> {
        let (name, grant, released_grant, lock_by, token, held_for, remaining) = read(operation, row)?;
        let token = FencingToken::new(token);
        Ok(Self { name, grant, released_grant, lock_by, token, held_for, remaining })
    }

    fn holder(&self) -> Holder {
        let (held_for, remaining) = (from_micros(self.held_for), from_micros(self.remaining));
        Holder::new(Label::read(&self.lock_by), held_for, remaining, self.token)
    }
}

fn read<T: FromRow>(operation: Operation, row: Row) -> Result<T, StoreError> {
    from_row_opt(row).map_err(|_| unreadable(operation, "a row is not as the statement has it"))
}

fn unreadable(operation: Operation, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    failure(operation, StoreErrorKind::Other, why)
}
