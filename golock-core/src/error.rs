//! What can go wrong, as a caller sees it.

use std::fmt;
use std::time::Duration;

use crate::{FencingToken, Label, LockName, StoreError};

/// Why a lock was not granted, kept or given back.
///
/// Contention ([`is_held`](Self::is_held)), a lost lease ([`is_lost`](Self::is_lost)) and a store that did not
/// answer ([`is_transient`](Self::is_transient)) are told apart; no driver's type shows. The message names
/// the lock that it is about, and its [source](std::error::Error::source) the backend and operation where one was involved; none contains a password.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options can't be right; nothing was sent.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),

    /// The lock is taken, and the caller did not want to wait (longer).
    #[error("lock {name:?} is held: {holder}")]
    #[non_exhaustive]
    Held {
        /// The lock.
        name: LockName,
        /// Who holds it.
        holder: Holder,
    },

    /// The wait ended before anything was known of the holder: the store failed until then, which is the source; or, without one,
    /// others were ahead, of this process in line or in a race for the name.
    #[error("lock {name:?} was not granted within {waited:?}")]
    #[non_exhaustive]
    WaitTimeout {
        /// The lock.
        name: LockName,
        /// How long the caller waited.
        waited: Duration,
        /// The last error of the store, if there was one.
        #[source]
        source: Option<StoreError>,
    },

    /// The lease was lost before the lock was released, or before the work it guarded had ended.
    #[error("lock {name:?} was lost: {reason}")]
    #[non_exhaustive]
    Lost {
        /// The lock.
        name: LockName,
        /// How.
        reason: LostReason,
    },

    /// The store failed.
    #[error("{}the store failed", lock_prefix(.name.as_ref()))]
    #[non_exhaustive]
    Store {
        /// The lock, if it was about one.
        name: Option<LockName>,
        /// Which backend and operation, and why.
        source: StoreError,
    },

    /// The locker was shut down, or the runtime that built it has ended.
    #[error("the locker is closed")]
    Closed,
}

impl Error {
    /// What kind of failure it is, without its details.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Held { .. } => ErrorKind::Held,
            Self::WaitTimeout { .. } => ErrorKind::WaitTimeout,
            Self::Lost { .. } => ErrorKind::Lost,
            Self::Store { .. } => ErrorKind::Store,
            Self::Closed => ErrorKind::Closed,
        }
    }

    /// Another holds the lock, or others of this process are before it in line: not a fault, try later.
    /// [`holder`](Self::holder) says who, where that is known.
    ///
    /// A [`WaitTimeout`](Self::WaitTimeout) with a source is none of that: the store failed for as long as the wait lasted.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::WaitTimeout { source: None, .. })
    }

    /// The lease was lost: somebody else may hold the lock by now.
    pub fn is_lost(&self) -> bool {
        self.kind() == ErrorKind::Lost
    }

    /// The same call may succeed later without anybody changing anything: the lock is held, or the store could
    /// not be reached ([`is_held`](Self::is_held) tells which).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Held { .. } | Self::WaitTimeout { .. } => true,
            Self::Store { source, .. } => source.is_transient(),
            Self::Invalid(_) | Self::Lost { .. } | Self::Closed => false,
        }
    }

    /// Who holds the lock, if that is why it was not granted and is known.
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Held { holder, .. } => Some(holder),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    /// A failure that concerns no lock in particular: connecting, listing, purging.
    fn from(source: StoreError) -> Self {
        Self::Store { name: None, source }
    }
}

fn lock_prefix(name: Option<&LockName>) -> String {
    name.map_or_else(String::new, |name| format!("lock {name:?}: "))
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input can't be right.
    Invalid,
    /// Another holds the lock.
    Held,
    /// The wait ended before anything was known.
    WaitTimeout,
    /// The lease was lost.
    Lost,
    /// The store failed.
    Store,
    /// The locker is closed.
    Closed,
}

/// Who holds a lock, since when, and for how long still: what a refusal tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The holder's label.
    pub lock_by: Label,
    /// How long it has held the lock, by the server's clock.
    pub held_for: Duration,
    /// How long its lease (or, after an early unlock, its `lock_at_least`) still runs, by the server's clock.
    pub remaining: Duration,
    /// Its fencing token.
    pub token: FencingToken,
    /// It is this very [`Locker`](crate::Locker): a lock is not re-entrant.
    pub by_self: bool,
}

impl Holder {
    /// A holder as a store reports it.
    pub fn new(lock_by: Label, held_for: Duration, remaining: Duration, token: FencingToken) -> Self {
        Self { lock_by, held_for, remaining, token, by_self: false }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.by_self { "this locker as " } else { "" };
        write!(
            f,
            "by {who}{:?} for {:.1} s, {:.1} s remaining, token {}",
            self.lock_by,
            self.held_for.as_secs_f64(),
            self.remaining.as_secs_f64(),
            self.token
        )
    }
}

/// How a lease was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LostReason {
    /// It ran out.
    Expired,
    /// Another grant holds the name, or held it since.
    Taken,
    /// An operator revoked it or forced it open.
    Revoked,
    /// The store no longer knows the name: the row was deleted, the table truncated, the data lost.
    RowGone,
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its lease ran out",
            Self::Taken => "another grant has taken it",
            Self::Revoked => "it was revoked",
            Self::RowGone => "the store no longer knows it",
        })
    }
}

/// Input that can't be right. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// The name is empty.
    #[error("a lock name must not be empty")]
    NameEmpty,
    /// The name is too long.
    #[error("a lock name has at most {} bytes of UTF-8, this one has {bytes}", LockName::MAX_BYTES)]
    #[non_exhaustive]
    NameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The name contains a NUL.
    #[error("a lock name must not contain NUL")]
    NameHasNul,
    /// The label is empty.
    #[error("lock_by must not be empty")]
    LabelEmpty,
    /// The label is too long.
    #[error("lock_by has at most {} bytes of UTF-8, this one has {bytes}", Label::MAX_BYTES)]
    #[non_exhaustive]
    LabelTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The label contains a control character.
    #[error("lock_by must not contain control characters")]
    LabelHasControl,
    /// The lease is shorter than 10 ms or longer than 365 days.
    #[error("a lease lasts 10 ms to 365 days, not {lease:?}")]
    #[non_exhaustive]
    LeaseOutOfRange {
        /// The lease asked for.
        lease: Duration,
    },
    /// The lock would have to stay taken for longer than its lease.
    #[error("lock_at_least ({at_least:?}) must not exceed lock_at_most ({at_most:?})")]
    #[non_exhaustive]
    AtLeastAboveAtMost {
        /// `lock_at_least`.
        at_least: Duration,
        /// `lock_at_most`.
        at_most: Duration,
    },
}
