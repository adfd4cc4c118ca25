//! What a store says of itself.

use std::time::Duration;

/// What a store can do. Every field is asked for: a store that forgets one does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The backend, as errors, logs and metrics name it: `"postgres"`.
    pub backend: &'static str,
    /// The most requests one call takes; at least 1.
    pub max_batch: usize,
    /// The longest a statement runs on the server before the server itself ends it, in whole: the engine gives
    /// up on a call after this time, and takes it that nothing of an abandoned call still runs once it has
    /// passed again.
    pub request_timeout: Duration,
    /// Whether [`wakeups`](crate::store::LockStore::wakeups) returns a stream.
    pub wakeups: bool,
    /// The largest fencing token the store can keep.
    pub max_token: i64,
}

impl Capabilities {
    /// All that a store says of itself.
    pub fn new(
        backend: &'static str,
        max_batch: usize,
        request_timeout: Duration,
        wakeups: bool,
        max_token: i64,
    ) -> Self {
        Self { backend, max_batch, request_timeout, wakeups, max_token }
    }
}
