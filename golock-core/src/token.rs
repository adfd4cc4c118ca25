//! The fencing token: what protects a resource when a lease could not.

use std::fmt;
use std::time::Duration;

/// A number that grows with every grant of one name: the guarded resource refuses anything older than the
/// newest it has seen.
///
/// Every backend follows one rule, `max(last + 1, server time in µs since 1970)`, so a token also grows over
/// a purge, a truncated table or a restored backup. Gaps mean nothing. The inner `i64` binds in every SQL:
///
/// ```sql
/// UPDATE account SET balance = $1, fence = $2 WHERE id = $3 AND fence <= $2
/// ```
///
/// The technique is from Martin Kleppmann, "How to do distributed locking" (2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(i64);

impl FencingToken {
    /// A token as a store or a guarded resource remembers it.
    pub const fn new(token: i64) -> Self {
        Self(token)
    }

    /// The number, to hand to the guarded resource.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The token that follows `last` (`None`: nothing is known of the name) at `server_time` since 1970:
    /// `max(last + 1, µs)`. `None` if that would exceed `max`, the largest number the store can keep.
    ///
    /// For stores that compute the token outside of the database; a statement computes the same.
    pub fn following(last: Option<Self>, server_time: Duration, max: i64) -> Option<Self> {
        let now = i64::try_from(server_time.as_micros()).ok()?;
        let next = match last {
            Some(last) => last.0.checked_add(1)?.max(now),
            None => now,
        };
        (next <= max).then_some(Self(next))
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<FencingToken> for i64 {
    fn from(token: FencingToken) -> Self {
        token.0
    }
}
