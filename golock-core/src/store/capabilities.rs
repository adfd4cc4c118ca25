//! What a store says of itself.

use std::time::Duration;

/// What a store can do. [`new`](Self::new) asks for all that matters to be correct: a store that forgets it does not compile.
/// What only makes it faster is off until it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The backend, as errors, logs and metrics name it: `"postgres"`.
    pub backend: &'static str,
    /// The most requests one call takes; at least 1.
    pub max_batch: usize,
    /// The longest a call takes, and a statement runs on the server before the server itself ends it (as far as it can be
    /// made to: each backend's page says what it can't): the engine gives up on a call after this time at the latest (a purge has
    /// ten minutes), and takes it that nothing of an abandoned call still runs once it has passed again.
    pub request_timeout: Duration,
    /// Whether [`wakeups`](crate::store::LockStore::wakeups) may return a stream. It is asked once, so a store that can't know yet says
    /// yes; where it then returns `None`, waiters ask again.
    pub wakeups: bool,
    /// The largest fencing token the store can keep.
    pub max_token: i64,
    /// Whether a call that acquires or releases many names is cheaper than as many calls at the same time. Then those of
    /// different names that are asked for while others are under way go together; else each is a call of its own.
    /// (Renewals go together on every store.)
    ///
    /// One name must not keep the others waiting for long. Where somebody else's transaction has locked a row,
    /// [`acquire`](crate::store::LockStore::acquire) may answer that it lost the race
    /// ([`Raced`](crate::store::AcquireAnswer::Raced)): the engine then asks for that name alone. Or the call fails: it is
    /// made again in parts.
    pub batches: bool,
    /// Whether [`hand_over`](crate::store::LockStore::hand_over) is one round trip.
    pub hands_over: bool,
}

impl Capabilities {
    /// What every store says of itself.
    pub fn new(
        backend: &'static str,
        max_batch: usize,
        request_timeout: Duration,
        wakeups: bool,
        max_token: i64,
    ) -> Self {
        Self { backend, max_batch, request_timeout, wakeups, max_token, batches: false, hands_over: false }
    }

    /// A call for many names is cheaper than as many calls: see [`batches`](Self::batches).
    #[must_use]
    pub fn in_batches(mut self) -> Self {
        self.batches = true;
        self
    }

    /// A release and the next acquire of the same name are one round trip: see [`hands_over`](Self::hands_over).
    #[must_use]
    pub fn handing_over(mut self) -> Self {
        self.hands_over = true;
        self
    }
}
