//! Connecting, in bounded time.

use std::time::Duration;

use tokio::time::timeout;

use crate::store::{Operation, StoreError, StoreErrorKind};

/// What comes of `connecting`, or, if that takes longer than `limit`, a [`StoreErrorKind::Timeout`] whose source is `why`.
///
/// # Errors
/// Those of `connecting`, and that.
///
/// # Cancel safety
/// Dropping the future drops `connecting`, and so does the end of the time.
pub async fn connected_within<T>(
    limit: Duration,
    backend: &'static str,
    why: &'static str,
    connecting: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let too_late = |_| Err(StoreError::new(backend, Operation::Connect, StoreErrorKind::Timeout, why));
    timeout(limit, connecting).await.unwrap_or_else(too_late)
}
