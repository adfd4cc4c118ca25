//! From rows to answers.

use std::time::{Duration, Instant};

use golock_core::backend::Record;
use golock_core::store::{
    AcquireAnswer, AcquireRequest, HandOverAnswer, HandOverRequest, Operation, ReleaseAnswer, RenewAnswer,
    RenewRequest, StoreError, StoreErrorKind,
};
use golock_core::{FencingToken, GrantId, Label, LockName};
use mongodb::bson::{Bson, Document, doc};

use crate::error::{failure, not_ours};
use crate::statements::MAX_TOKEN;

/// What there is of a name, by the server's clock as the statement had it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) record: Record,
    /// How long the answer took, from before the command was sent.
    took: Duration,
}

impl Found {
    /// What a statement answers with.
    pub(crate) fn fields() -> Document {
        doc! { "grant": 1, "released": 1, "lockBy": 1, "token": 1, "lockedAt": 1, "expiresAt": 1, "now": "$$NOW" }
    }

    /// `None`: a row without fields, which is none.
    pub(crate) fn read(doing: Operation, row: &Document, sent: Instant) -> Result<Option<Self>, StoreError> {
        if !row.contains_key("token") {
            return Ok(None);
        }
        let time = |field| match row.get(field) {
            Some(Bson::DateTime(time)) => Ok(time.timestamp_millis()),
            found => Err(not_ours(doing, field, found)),
        };
        let grant = |field| match row.get(field) {
            Some(Bson::Null) | None => Ok(None),
            Some(Bson::Binary(grant)) => Ok(GrantId::read(&grant.bytes)),
            found => Err(not_ours(doing, field, found)),
        };
        let token = match row.get("token") {
            Some(Bson::Int64(token)) => *token,
            Some(Bson::Int32(token)) => i64::from(*token),
            found => return Err(not_ours(doing, "token", found)),
        };
        let now = time("now")?;
        let record = Record {
            grant: grant("grant")?,
            released: grant("released")?,
            lock_by: Label::read(row.get_str("lockBy").unwrap_or_default().as_bytes()),
            token: FencingToken::new(token),
            held_for: millis(now - time("lockedAt")?),
            // For whoever waits: no less than there is, so that nobody asks too early.
            remaining: millis(time("expiresAt")? - now),
        };
        Ok(Some(Self { record, took: sent.elapsed() }))
    }

    pub(crate) fn name(doing: Operation, row: &Document) -> Result<LockName, StoreError> {
        let name = row.get_str("_id").ok().and_then(|name| LockName::new(name).ok());
        name.ok_or_else(|| not_ours(doing, "_id", row.get("_id")))
    }
}

/// `found`: as it is after an acquire.
pub(crate) fn acquired(found: Option<&Found>, request: &AcquireRequest) -> Result<AcquireAnswer, StoreError> {
    let grant = request.grant;
    match (Record::acquired(record(found), grant), found) {
        (AcquireAnswer::Granted { token, remaining, .. }, Some(found)) => {
            Ok(AcquireAnswer::granted(token, surely(remaining, found.took)))
        }
        (AcquireAnswer::Raced, Some(Found { record, .. }))
            if record.token.get() == MAX_TOKEN && !record.is_alive() && record.released != Some(grant) =>
        {
            Err(exhausted(Operation::Acquire))
        }
        (answer, _) => Ok(answer),
    }
}

/// `found`: as it is after a renewal, or without one.
pub(crate) fn renewed(found: Option<&Found>, request: &RenewRequest) -> RenewAnswer {
    match (Record::renewed(record(found), request.grant, request.token), found) {
        (RenewAnswer::Renewed { remaining, .. }, Some(found)) => {
            RenewAnswer::renewed(surely(remaining, found.took))
        }
        (answer, _) => answer,
    }
}

/// Extended to its lease from when the command began, at some time since it was sent.
pub(crate) fn extended(request: &RenewRequest, took: Duration) -> RenewAnswer {
    RenewAnswer::renewed(surely(request.lease, took))
}

/// `found`: as it is after a hand-over by the grant that held it.
pub(crate) fn handed_over(found: &Found, request: &HandOverRequest) -> HandOverAnswer {
    let next = match acquired(Some(found), &request.next) {
        Ok(granted @ AcquireAnswer::Granted { .. }) => granted,
        _ => AcquireAnswer::Raced,
    };
    HandOverAnswer::new(ReleaseAnswer::Released, next)
}

/// `record`: as it is after the name was taken from its holder.
pub(crate) fn fenced(doing: Operation, record: &Record) -> Result<FencingToken, StoreError> {
    let at_once = doing == Operation::ForceUnlock;
    if record.grant.is_some() || (at_once && record.is_alive()) {
        return Err(exhausted(doing));
    }
    Ok(record.token)
}

pub(crate) fn record(found: Option<&Found>) -> Option<&Record> {
    found.map(|found| &found.record)
}

/// What remains for whoever relies on it: no more than there is when the answer comes. The server's clock stood still since
/// the command began, which may have waited for the row, and it rounds down.
fn surely(remaining: Duration, took: Duration) -> Duration {
    remaining.saturating_sub(took + Duration::from_millis(1))
}

fn exhausted(doing: Operation) -> StoreError {
    failure(doing, StoreErrorKind::TokenExhausted, format!("the token is {MAX_TOKEN}, the largest there is"))
}

/// Nothing less than nothing: the server's clock may have been set back.
fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
