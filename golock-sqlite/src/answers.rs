//! From rows to answers.

use golock_core::backend::{Record, from_micros};
use golock_core::store::{AcquireAnswer, LockInfo, RenewAnswer};
use golock_core::{FencingToken, GrantId, Label, LockName};
use rusqlite::Row;
use rusqlite::types::Type;

pub(crate) fn granted(row: &Row<'_>) -> rusqlite::Result<AcquireAnswer> {
    Ok(AcquireAnswer::granted(FencingToken::new(row.get(0)?), from_micros(row.get(1)?)))
}

pub(crate) fn renewed(row: &Row<'_>) -> rusqlite::Result<RenewAnswer> {
    Ok(RenewAnswer::renewed(from_micros(row.get(0)?)))
}

/// What is known of a name, and how it stood when the clock was read.
pub(crate) fn found(row: &Row<'_>) -> rusqlite::Result<Record> {
    let grant = |column| -> rusqlite::Result<Option<GrantId>> {
        Ok(row.get_ref(column)?.as_blob_or_null()?.and_then(GrantId::read))
    };
    Ok(Record {
        grant: grant("grant_id")?,
        released: grant("released_grant")?,
        lock_by: Label::read(row.get_ref("lock_by")?.as_bytes().unwrap_or_default()),
        token: FencingToken::new(row.get("token")?),
        held_for: from_micros(row.get("held_for")?),
        remaining: from_micros(row.get("remaining")?),
    })
}

/// `None`: it is free.
pub(crate) fn listed(row: &Row<'_>) -> rusqlite::Result<Option<LockInfo>> {
    let name = LockName::read(row.get_ref("name")?.as_bytes()?).ok_or_else(|| {
        let why = "a name that golock did not write".into();
        rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, why)
    })?;
    Ok(found(row)?.info(name))
}
