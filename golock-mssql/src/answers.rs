//! From rows to answers.

use golock_core::backend::{Verdict, from_micros, in_order};
use golock_core::store::{LockInfo, Operation, RenewAnswer, StoreError, StoreErrorKind};
use golock_core::{FencingToken, Label};
use tiberius::{FromSql, Row};

use crate::error::{BACKEND, call_failed, failure};
use crate::key::name;

/// The answers in the order of the requests: each row says by `nr` which one of those sent it answers, and `order` which
/// of the requests that was.
pub(crate) fn renewed(order: &[usize], rows: &[Row]) -> Result<Vec<RenewAnswer>, StoreError> {
    let doing = Operation::Renew;
    let answer = |row| {
        let nr: i32 = column(doing, row, "nr")?;
        let at = usize::try_from(nr).ok().and_then(|nr| order.get(nr).copied());
        Ok((at.unwrap_or(usize::MAX), verdict(doing, row)?.renewed()?))
    };
    let answers: Result<Vec<_>, _> = rows.iter().map(answer).collect();
    in_order(order.len(), answers?).map_err(|why| unreadable(doing, why))
}

/// `None`: it is free.
pub(crate) fn listed(doing: Operation, row: &Row) -> Result<Option<LockInfo>, StoreError> {
    let name = name(column(doing, row, "name")?);
    verdict(doing, row)?.info(name.ok_or_else(|| unreadable(doing, "a name that golock did not write"))?)
}

/// What a row says: `outcome`, and of the rest what the statement has.
pub(crate) fn verdict(doing: Operation, row: &Row) -> Result<Verdict, StoreError> {
    Ok(Verdict {
        token: told(doing, row, "token")?.map(FencingToken::new),
        remaining: told(doing, row, "remaining")?.map(from_micros),
        held_for: told(doing, row, "held_for")?.map(from_micros),
        lock_by: told(doing, row, "lock_by")?.map(|label: &str| Label::read(label.as_bytes())),
        ..Verdict::new(BACKEND, doing, column::<&str>(doing, row, "outcome")?)
    })
}

/// A column that is never NULL.
pub(crate) fn column<'a, T: FromSql<'a>>(
    doing: Operation,
    row: &'a Row,
    name: &str,
) -> Result<T, StoreError> {
    told(doing, row, name)?.ok_or_else(|| unreadable(doing, format!("there is no {name}")))
}

/// A column; `None` if the statement has it not, or the row.
pub(crate) fn told<'a, T: FromSql<'a>>(
    doing: Operation,
    row: &'a Row,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let has_it = row.columns().iter().any(|column| column.name() == name);
    if has_it { row.try_get(name).map_err(|error| call_failed(doing, error)) } else { Ok(None) }
}

pub(crate) fn unreadable(
    doing: Operation,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    failure(doing, StoreErrorKind::Other, why)
}
