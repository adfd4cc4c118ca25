//! What the toy knows of one name.

use std::time::Duration;

use golock_core::store::{AcquireRequest, LockInfo, ReleaseRequest};
use golock_core::{FencingToken, GrantId, Holder, Label, LockName};

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: LockName,
    pub(crate) grant: Option<GrantId>,
    pub(crate) released: Option<GrantId>,
    pub(crate) label: Label,
    pub(crate) token: i64,
    pub(crate) locked_at: Duration,
    pub(crate) expires_at: Duration,
    pub(crate) waiters_until: Duration,
}

impl Row {
    pub(crate) fn granted(wanted: &AcquireRequest, token: i64, now: Duration) -> Self {
        Self {
            name: wanted.name.clone(),
            grant: Some(wanted.grant),
            released: None,
            label: wanted.lock_by.clone(),
            token,
            locked_at: now,
            expires_at: now + wanted.lease,
            waiters_until: Duration::ZERO,
        }
    }

    /// What an undo leaves where there was no row.
    pub(crate) fn tombstone(undone: &ReleaseRequest, token: i64, now: Duration) -> Self {
        Self {
            name: undone.name.clone(),
            grant: None,
            released: Some(undone.grant),
            label: Label::new("nobody").unwrap(),
            token,
            locked_at: now,
            expires_at: now,
            waiters_until: Duration::ZERO,
        }
    }

    pub(crate) fn holder(&self, now: Duration) -> Holder {
        let token = FencingToken::new(self.token);
        Holder::new(self.label.clone(), now.saturating_sub(self.locked_at), self.expires_at - now, token)
    }

    pub(crate) fn info(&self, now: Duration) -> Option<LockInfo> {
        let is_released = self.grant.is_none() || self.grant == self.released;
        (self.expires_at > now).then(|| LockInfo::new(self.name.clone(), self.holder(now), is_released))
    }
}
