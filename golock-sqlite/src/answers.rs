//! From rows to answers.

use std::time::Duration;

use golock_core::store::{LockInfo, ReleaseAnswer};
use golock_core::{FencingToken, GrantId, Holder, Label, LockName, LostReason};
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

/// No lease and no pause is longer, and times to which it is added stay in range: a thousand years.
const LONGEST: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

/// What is known of a name, and how it stood when the clock was read.
pub(crate) struct Found {
    name: Vec<u8>,
    grant: Option<Vec<u8>>,
    released_grant: Option<Vec<u8>>,
    lock_by: Label,
    token: FencingToken,
    held_for: Duration,
    /// Zero: free.
    remaining: Duration,
}

impl Found {
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get("name")?,
            grant: row.get("grant_id")?,
            released_grant: row.get("released_grant")?,
            lock_by: label(row.get_ref("lock_by")?)?,
            token: FencingToken::new(row.get("token")?),
            held_for: duration(row.get("held_for")?),
            remaining: duration(row.get("remaining")?),
        })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.remaining > Duration::ZERO
    }

    /// Who holds the name, if it is not this grant. A grant that was released is refused too, but nobody needs to be
    /// named for that.
    pub(crate) fn refuses(self, grant: &GrantId) -> Option<Holder> {
        let refuses = self.is_alive() && !is(&self.grant, grant) && !is(&self.released_grant, grant);
        refuses.then(|| self.holder())
    }

    /// Why this grant could not be renewed.
    pub(crate) fn why_lost(&self, grant: &GrantId, token: FencingToken) -> LostReason {
        if is(&self.released_grant, grant) {
            LostReason::Revoked
        } else if is(&self.grant, grant) && self.token == token {
            LostReason::Expired
        } else {
            LostReason::Taken
        }
    }

    /// What a release by this grant will come to.
    pub(crate) fn released_by(&self, grant: &GrantId) -> ReleaseAnswer {
        if is(&self.released_grant, grant) {
            ReleaseAnswer::AlreadyReleased
        } else if is(&self.grant, grant) {
            ReleaseAnswer::Released
        } else {
            ReleaseAnswer::NotYours(LostReason::Taken)
        }
    }

    pub(crate) fn into_info(self) -> rusqlite::Result<LockInfo> {
        let (holder, released) = (self.holder(), self.grant.is_none());
        let name = String::from_utf8(self.name).ok().and_then(|name| LockName::new(name).ok());
        let name = name.ok_or_else(|| unreadable(Type::Blob, "a name that golock did not write"))?;
        Ok(LockInfo::new(name, holder, released))
    }

    fn holder(&self) -> Holder {
        Holder::new(self.lock_by.clone(), self.held_for, self.remaining, self.token)
    }
}

/// In µs, rounded up.
pub(crate) fn micros(duration: Duration) -> i64 {
    let micros = duration.min(LONGEST).as_nanos().div_ceil(1_000);
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// A label that somebody else wrote into the table must not hide the lock.
fn label(value: ValueRef<'_>) -> rusqlite::Result<Label> {
    let text = value.as_bytes().map(String::from_utf8_lossy).unwrap_or_default();
    Label::new(&*text)
        .or_else(|_| Label::new("(unreadable)"))
        .map_err(|error| unreadable(value.data_type(), error))
}

fn unreadable(kind: Type, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, why.into())
}

fn is(column: &Option<Vec<u8>>, grant: &GrantId) -> bool {
    column.as_deref() == Some(grant.as_bytes())
}

/// Nothing less than nothing: the clock may be set back.
fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::micros;

    #[test]
    fn times_are_rounded_up_and_kept_in_range() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_millis(10)), 10_000);
        assert_eq!(micros(Duration::MAX), 31_536_000_000_000_000);
    }
}
