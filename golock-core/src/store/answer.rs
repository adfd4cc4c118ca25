//! What a store answers.

use std::time::Duration;

use crate::{FencingToken, Holder, Label, LockName, LostReason};

/// The answer to one [`AcquireRequest`](super::AcquireRequest).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireAnswer {
    /// The grant holds the name.
    #[non_exhaustive]
    Granted {
        /// Its fencing token.
        token: FencingToken,
        /// How long its lease still runs, by the server's clock; may be zero.
        remaining: Duration,
    },
    /// Another lease is alive, or the `lock_at_least` of a released one.
    Held(Holder),
    /// Neither: the row changed under the statement, or this grant was released before. Ask again.
    Raced,
}

impl AcquireAnswer {
    /// The grant holds the name.
    pub fn granted(token: FencingToken, remaining: Duration) -> Self {
        Self::Granted { token, remaining }
    }
}

/// The answer to one [`RenewRequest`](super::RenewRequest).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenewAnswer {
    /// The lease lives on.
    #[non_exhaustive]
    Renewed {
        /// How long it still runs, by the server's clock.
        remaining: Duration,
    },
    /// It does not: no row (`RowGone`), this grant is the last released one (`Revoked`), it still stands in the
    /// row but ran out (`Expired`), anything else (`Taken`).
    Lost(LostReason),
}

impl RenewAnswer {
    /// The lease lives on.
    pub fn renewed(remaining: Duration) -> Self {
        Self::Renewed { remaining }
    }
}

/// The answer to one [`ReleaseRequest`](super::ReleaseRequest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseAnswer {
    /// The grant held the name (its lease may have run out, but nobody took it), and holds it no more.
    Released,
    /// It had been given back before: by an earlier try of the same release, or because it was revoked.
    AlreadyReleased,
    /// It held nothing: another grant took the name (`Taken`), or there was no row (`RowGone`).
    NotYours(LostReason),
}

/// The answer to a [`HandOverRequest`](super::HandOverRequest).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandOverAnswer {
    /// What became of the grant that was given back.
    pub released: ReleaseAnswer,
    /// What became of the next: [`Raced`](AcquireAnswer::Raced) if it has to ask for itself.
    pub next: AcquireAnswer,
}

impl HandOverAnswer {
    /// Both answers.
    pub fn new(released: ReleaseAnswer, next: AcquireAnswer) -> Self {
        Self { released, next }
    }
}

/// A lock that is held, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockInfo {
    /// The lock.
    pub name: LockName,
    /// The label of its holder, or of its last one while its `lock_at_least` runs.
    pub lock_by: Label,
    /// How long ago it was granted, by the server's clock.
    pub held_for: Duration,
    /// How long it stays taken unless it is renewed, by the server's clock.
    pub remaining: Duration,
    /// Its newest fencing token.
    pub token: FencingToken,
    /// Released or revoked already: nobody can renew it, it stays taken only until `remaining` has passed.
    pub released: bool,
}

impl LockInfo {
    /// A lock that is held, as a store reports it.
    pub fn new(name: LockName, holder: Holder, released: bool) -> Self {
        let Holder { lock_by, held_for, remaining, token, .. } = holder;
        Self { name, lock_by, held_for, remaining, token, released }
    }
}

/// An event of [`LockStore::wakeups`](super::LockStore::wakeups).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wakeup {
    /// From here on nothing freed is missed; what was freed before may have been.
    Listening,
    /// The lease of this name has ended, or will end, sooner than those who wait were told: ask again.
    Freed(LockName),
    /// The listener is lost, until the next `Listening`. A store that reconnects by itself says so first, always: where it is then,
    /// nobody may know of the marks that were left, and the engine makes them anew.
    Deaf,
}
