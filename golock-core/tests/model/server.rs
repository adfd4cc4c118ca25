//! The server: one row, and what each statement does to it, as the docs of `LockStore` say it.

use crate::bugs::Bug;
use crate::laws::Law;

/// A moment of true time, or of the server's clock.
pub(crate) type Tick = u8;
pub(crate) type Grant = u8;
pub(crate) type Token = u8;

/// The lease of an acquire and of a short renewal, and that of a long one.
pub(crate) const LEASE: Tick = 2;
pub(crate) const LONG_LEASE: Tick = 3;

/// What is known of the name. `lock_at_least` is left out: it only makes a release end a lease later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) grant: Option<Grant>,
    pub(crate) released: Option<Grant>,
    pub(crate) token: Token,
    pub(crate) expires_at: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Statement {
    Acquire,
    Renew { token: Token, lease: Tick },
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    Granted {
        token: Token,
        remaining: Tick,
    },
    /// Held by another, or raced.
    Refused,
    Renewed {
        remaining: Tick,
        lease: Tick,
    },
    Lost,
    /// Whatever it was: released, already, not yours.
    Ended,
}

/// One statement at one moment of the server's clock.
pub(crate) struct At {
    pub(crate) now: Tick,
    pub(crate) bug: Option<Bug>,
}

impl At {
    pub(crate) fn execute(&self, row: &mut Option<Row>, grant: Grant, statement: Statement) -> Answer {
        match statement {
            Statement::Acquire => self.acquire(row, grant),
            Statement::Renew { token, lease } => self.renew(row, grant, token, lease),
            Statement::Release => {
                self.release(row, grant);
                Answer::Ended
            }
        }
    }

    fn acquire(&self, slot: &mut Option<Row>, grant: Grant) -> Answer {
        let Some(row) = slot else {
            let row = slot.insert(Row::granted(grant, None, self.next_token(None), self.now + LEASE));
            return row.granted_at(self.now);
        };
        if row.released == Some(grant) && !self.has(Bug::GrantsWhatWasReleased) {
            return Answer::Refused;
        }
        let clock = if self.has(Bug::ExpiryByTheClientsClock) { self.now + 1 } else { self.now };
        if row.expires_at > clock && !self.has(Bug::AcquireWithoutOwner) {
            if row.grant != Some(grant) {
                return Answer::Refused;
            }
            row.expires_at = row.expires_at.max(self.now + LEASE);
            if self.has(Bug::RetryIsAnotherGrant) {
                row.token = self.next_token(Some(row.token));
            }
        } else {
            *row = Row::granted(grant, row.released, self.next_token(Some(row.token)), self.now + LEASE);
        }
        row.granted_at(self.now)
    }

    fn renew(&self, slot: &mut Option<Row>, grant: Grant, token: Token, lease: Tick) -> Answer {
        let until = self.now + lease;
        let Some(row) = slot else { return Answer::Lost };
        let remembered = row.released == Some(grant);
        if remembered && self.has(Bug::RenewInsertsAgain) && row.expires_at <= self.now {
            (row.grant, row.expires_at) = (Some(grant), until);
            return row.renewed_at(self.now, lease);
        }
        let owns = row.grant == Some(grant) && (row.token == token || self.has(Bug::RenewByGrantAlone));
        if remembered || !(owns || self.has(Bug::RenewWithoutOwner)) {
            return Answer::Lost;
        }
        if row.expires_at <= self.now && !self.has(Bug::RenewRevives) {
            return Answer::Lost;
        }
        row.expires_at = if self.has(Bug::RenewShortens) { until } else { row.expires_at.max(until) };
        row.renewed_at(self.now, lease)
    }

    fn release(&self, slot: &mut Option<Row>, grant: Grant) {
        let Some(row) = slot else {
            if !self.has(Bug::UndoWithoutTombstone) {
                let token = self.next_token(None);
                *slot = Some(Row { grant: None, released: Some(grant), token, expires_at: self.now });
            }
            return;
        };
        if row.released == Some(grant) {
            if self.has(Bug::RepeatedReleaseFreesTheNext) {
                (row.grant, row.expires_at) = (None, row.expires_at.min(self.now));
            }
            return;
        }
        if row.grant == Some(grant) || self.has(Bug::ReleaseWithoutOwner) {
            if self.has(Bug::ReleaseDeletesTheRow) {
                *slot = None;
                return;
            }
            (row.grant, row.expires_at) = (None, row.expires_at.min(self.now));
        } else if self.has(Bug::UndoWithoutTombstone) {
            return;
        }
        row.released = Some(grant);
    }

    /// `revoke` and, with `at_once`, `force_unlock`: the token that fences the holder.
    pub(crate) fn fence(&self, row: &mut Option<Row>, at_once: bool) -> Option<Token> {
        let row = row.as_mut().filter(|row| row.expires_at > self.now)?;
        if !self.has(Bug::FenceKeepsTheToken) {
            row.token = self.next_token(Some(row.token));
        }
        if !self.has(Bug::RevokeForgetsTheGrant) {
            row.released = row.grant.take().or(row.released);
        }
        if at_once {
            row.expires_at = self.now;
        }
        Some(row.token)
    }

    /// `max(last + 1, server time)`.
    fn next_token(&self, last: Option<Token>) -> Token {
        if self.has(Bug::TokenIsTheClock) {
            return self.now;
        }
        last.map_or(self.now, |last| self.now.max(last + 1))
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

impl Row {
    fn granted(grant: Grant, released: Option<Grant>, token: Token, expires_at: Tick) -> Self {
        Self { grant: Some(grant), released, token, expires_at }
    }

    fn granted_at(&self, now: Tick) -> Answer {
        Answer::Granted { token: self.token, remaining: self.expires_at - now }
    }

    fn renewed_at(&self, now: Tick, lease: Tick) -> Answer {
        Answer::Renewed { remaining: self.expires_at.saturating_sub(now), lease }
    }
}

/// What a statement broke, by its effect alone.
pub(crate) fn changed_by_a_stranger(before: Option<Row>, after: Option<Row>, grant: Grant) -> Option<Law> {
    let held = |row: Option<Row>| row.map(|row| (row.grant, row.token, row.expires_at));
    let owner = before.and_then(|row| row.grant);
    let touched = owner.is_some_and(|owner| owner != grant) && held(before) != held(after);
    touched.then_some(Law::OnlyTheGrantReleasesAndRenews)
}
