//! From rows to answers.

use std::time::{Duration, Instant};

use golock_core::store::{
    AcquireAnswer, AcquireRequest, HandOverAnswer, HandOverRequest, LockInfo, Operation, ReleaseAnswer,
    ReleaseRequest, RenewAnswer, RenewRequest, StoreError, StoreErrorKind,
};
use golock_core::{FencingToken, GrantId, Holder, Label, LockName, LostReason};
use mongodb::bson::{Bson, Document, doc};

use crate::error::{failure, not_ours};
use crate::statements::MAX_TOKEN;

/// A name's row, and what time it was: the server's clock as the statement had it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    grant: Option<GrantId>,
    released: Option<GrantId>,
    lock_by: Label,
    token: i64,
    /// Milliseconds since 1970, as all times here.
    locked_at: i64,
    expires_at: i64,
    now: i64,
    /// How long the answer took, from before the command was sent.
    took: Duration,
}

impl Row {
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
            Some(Bson::Binary(grant)) => {
                Ok(<[u8; 16]>::try_from(&*grant.bytes).ok().map(GrantId::from_bytes))
            }
            found => Err(not_ours(doing, field, found)),
        };
        Ok(Some(Self {
            grant: grant("grant")?,
            released: grant("released")?,
            lock_by: Label::read(row.get_str("lockBy").unwrap_or_default().as_bytes()),
            token: match row.get("token") {
                Some(Bson::Int64(token)) => *token,
                Some(Bson::Int32(token)) => i64::from(*token),
                found => return Err(not_ours(doing, "token", found)),
            },
            locked_at: time("lockedAt")?,
            expires_at: time("expiresAt")?,
            now: time("now")?,
            took: sent.elapsed(),
        }))
    }

    pub(crate) fn name(doing: Operation, row: &Document) -> Result<LockName, StoreError> {
        let name = row.get_str("_id").ok().and_then(|name| LockName::new(name).ok());
        name.ok_or_else(|| not_ours(doing, "_id", row.get("_id")))
    }

    fn is_alive(&self) -> bool {
        self.expires_at > self.now
    }

    fn is_held_by(&self, grant: GrantId) -> bool {
        self.grant == Some(grant) && self.released != Some(grant) && self.is_alive()
    }

    fn token(&self) -> FencingToken {
        FencingToken::new(self.token)
    }

    /// What remains for whoever waits: no less than there is, so that nobody asks too early.
    fn remaining(&self) -> Duration {
        millis(self.expires_at - self.now)
    }

    /// What remains for whoever relies on it: no more than there is when the answer comes. The server's clock stood
    /// still since the command began, which may have waited for the row, and it rounds down.
    fn surely_remaining(&self) -> Duration {
        surely(self.remaining(), self.took)
    }

    fn holder(&self) -> Holder {
        Holder::new(self.lock_by.clone(), millis(self.now - self.locked_at), self.remaining(), self.token())
    }
}

/// The row as it is after an acquire.
pub(crate) fn acquired(row: Option<&Row>, request: &AcquireRequest) -> Result<AcquireAnswer, StoreError> {
    // No row: somebody deleted it just now.
    let Some(row) = row else { return Ok(AcquireAnswer::Raced) };
    Ok(if row.is_held_by(request.grant) {
        AcquireAnswer::granted(row.token(), row.surely_remaining())
    } else if row.released == Some(request.grant) {
        AcquireAnswer::Raced
    } else if row.is_alive() {
        AcquireAnswer::Held(row.holder())
    } else if row.token == MAX_TOKEN {
        return Err(exhausted(Operation::Acquire));
    } else {
        AcquireAnswer::Raced
    })
}

/// The row as it is after a renewal, or without one.
pub(crate) fn renewed(row: Option<&Row>, request: &RenewRequest) -> RenewAnswer {
    RenewAnswer::Lost(match row {
        None => LostReason::RowGone,
        Some(row) if row.released == Some(request.grant) => LostReason::Revoked,
        Some(row) if (row.grant, row.token()) != (Some(request.grant), request.token) => LostReason::Taken,
        Some(row) if !row.is_alive() => LostReason::Expired,
        Some(row) => return RenewAnswer::renewed(row.surely_remaining()),
    })
}

/// Extended to its lease from when the command began, at some time since it was sent.
pub(crate) fn extended(request: &RenewRequest, took: Duration) -> RenewAnswer {
    RenewAnswer::renewed(surely(request.lease, took))
}

/// The row as it is after a hand-over by the grant that held it.
pub(crate) fn handed_over(row: &Row, request: &HandOverRequest) -> HandOverAnswer {
    let next = if row.is_held_by(request.next.grant) {
        AcquireAnswer::granted(row.token(), row.surely_remaining())
    } else {
        AcquireAnswer::Raced
    };
    HandOverAnswer::new(ReleaseAnswer::Released, next)
}

/// The row as it was before a release.
pub(crate) fn released(row: Option<&Row>, request: &ReleaseRequest) -> ReleaseAnswer {
    match row {
        None => ReleaseAnswer::NotYours(LostReason::RowGone),
        Some(row) if row.released == Some(request.grant) => ReleaseAnswer::AlreadyReleased,
        Some(row) if row.grant == Some(request.grant) => ReleaseAnswer::Released,
        Some(_) => ReleaseAnswer::NotYours(LostReason::Taken),
    }
}

/// The row as it is, if somebody holds it.
pub(crate) fn listed(name: LockName, row: &Row) -> Option<LockInfo> {
    row.is_alive().then(|| LockInfo::new(name, row.holder(), row.grant.is_none()))
}

/// The row as it is after the name was taken from its holder, if it had one.
pub(crate) fn fenced(doing: Operation, row: Option<&Row>) -> Result<Option<FencingToken>, StoreError> {
    let at_once = doing == Operation::ForceUnlock;
    match row {
        Some(row) if row.grant.is_some() || (at_once && row.is_alive()) => Err(exhausted(doing)),
        row => Ok(row.map(Row::token)),
    }
}

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
