//! From rows to answers.

use std::time::Duration;

use golock_core::backend::from_micros;
use golock_core::store::{LockInfo, ReleaseAnswer};
use golock_core::{FencingToken, GrantId, Holder, Label, LockName, LostReason};
use rusqlite::Row;
use rusqlite::types::Type;

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
            lock_by: Label::read(row.get_ref("lock_by")?.as_bytes().unwrap_or_default()),
            token: FencingToken::new(row.get("token")?),
            held_for: from_micros(row.get("held_for")?),
            remaining: from_micros(row.get("remaining")?),
        })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.remaining > Duration::ZERO
    }

    /// Who holds the name, if it is not this grant. A grant that was released is refused too, but nobody needs to be
    /// named for that.
    pub(crate) fn refuses(self, grant: &GrantId) -> Option<Holder> {
        let refuses = self.is_alive()
            && !grant.matches(self.grant.as_deref())
            && !grant.matches(self.released_grant.as_deref());
        refuses.then(|| self.holder())
    }

    /// Why this grant could not be renewed.
    pub(crate) fn why_lost(&self, grant: &GrantId, token: FencingToken) -> LostReason {
        if grant.matches(self.released_grant.as_deref()) {
            LostReason::Revoked
        } else if grant.matches(self.grant.as_deref()) && self.token == token {
            LostReason::Expired
        } else {
            LostReason::Taken
        }
    }

    /// What a release by this grant will come to.
    pub(crate) fn released_by(&self, grant: &GrantId) -> ReleaseAnswer {
        if grant.matches(self.released_grant.as_deref()) {
            ReleaseAnswer::AlreadyReleased
        } else if grant.matches(self.grant.as_deref()) {
            ReleaseAnswer::Released
        } else {
            ReleaseAnswer::NotYours(LostReason::Taken)
        }
    }

    pub(crate) fn into_info(self) -> rusqlite::Result<LockInfo> {
        let (holder, released) = (self.holder(), self.grant.is_none());
        let name = LockName::read(&self.name).ok_or_else(|| {
            let why = "a name that golock did not write".into();
            rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, why)
        })?;
        Ok(LockInfo::new(name, holder, released))
    }

    fn holder(&self) -> Holder {
        Holder::new(self.lock_by.clone(), self.held_for, self.remaining, self.token)
    }
}
