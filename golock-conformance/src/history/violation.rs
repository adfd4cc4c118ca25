//! What can't have been, if the lock is one.

use std::fmt;
use std::time::Duration;

use golock_core::{FencingToken, LockName};

/// Something in a history that no lock allows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Two grants have one token.
    TokenTwice {
        /// Of what.
        name: LockName,
        /// Which.
        token: FencingToken,
    },
    /// A grant that was asked for after another had been received has no larger token.
    TokenBack {
        /// Of what.
        name: LockName,
        /// Of the grant that was there first.
        first: FencingToken,
        /// Of the one that came later.
        later: FencingToken,
    },
    /// Two holders believed at the same time that they hold the name.
    Overlap {
        /// Of what.
        name: LockName,
        /// Of the holder that was there first.
        first: FencingToken,
        /// Of the one that came while it believed.
        second: FencingToken,
        /// For at least how long.
        by: Duration,
    },
    /// The fenced register took a write older than one that it had taken.
    FencedBack {
        /// Of what.
        name: LockName,
        /// Of the newest write before.
        newest: FencingToken,
        /// Of the one that it took after that.
        taken: FencingToken,
    },
    /// The fenced register refused a holder that still believed: somebody newer had written in the meantime.
    FencedOut {
        /// Of what.
        name: LockName,
        /// Of the newest write.
        newest: FencingToken,
        /// Of the holder that was refused.
        refused: FencingToken,
    },
    /// A caller was told that the name is held when nobody can have held it.
    RefusedFree {
        /// Of what.
        name: LockName,
        /// For how long nobody had, when it asked: `None` if nobody ever had.
        free_for: Option<Duration>,
    },
    /// The name stayed taken although nobody held it, with no fault to excuse it.
    Stuck {
        /// What.
        name: LockName,
        /// Under which token.
        token: FencingToken,
        /// For at least how long.
        stayed: Duration,
    },
    /// When all faults were over something still did not work.
    Broken {
        /// What and why.
        what: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenTwice { name, token } => write!(f, "{name:?}: two grants have token {token}"),
            Self::TokenBack { name, first, later } => {
                write!(f, "{name:?}: token {later} was granted after token {first} had been")
            }
            Self::Overlap { name, first, second, by } => {
                write!(f, "{name:?}: the holders of tokens {first} and {second} both believed, for {by:?}")
            }
            Self::FencedBack { name, newest, taken } => {
                write!(f, "{name:?}: a write with token {taken} was taken after one with {newest}")
            }
            Self::FencedOut { name, newest, refused } => {
                write!(f, "{name:?}: the holder of token {refused} believed, but {newest} had written")
            }
            Self::RefusedFree { name, free_for: Some(free_for) } => {
                write!(f, "{name:?}: refused as held, but nobody had held it for {free_for:?}")
            }
            Self::RefusedFree { name, free_for: None } => {
                write!(f, "{name:?}: refused as held, but nobody had ever held it")
            }
            Self::Stuck { name, token, stayed } => {
                write!(f, "{name:?}: taken under token {token} for {stayed:?} although nobody held it")
            }
            Self::Broken { what } => f.write_str(what),
        }
    }
}
