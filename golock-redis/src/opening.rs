//! Something that takes time to open, and that several may need.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use golock_core::StoreError;

/// It is open, or is being opened by whoever needs it, for all that do. Dropping the future that waits for it leaves the opening to
/// the next that needs it.
pub(crate) struct Opening<T: Clone> {
    begun: Instant,
    outcome: Shared<BoxFuture<'static, Result<T, StoreError>>>,
}

impl<T: Clone + Send + Sync + 'static> Opening<T> {
    pub(crate) fn new(opening: impl Future<Output = Result<T, StoreError>> + Send + 'static) -> Self {
        Self { begun: Instant::now(), outcome: opening.boxed().shared() }
    }

    pub(crate) fn outcome(&self) -> impl Future<Output = Result<T, StoreError>> + use<T> {
        self.outcome.clone()
    }

    /// It failed, or what was opened is spent, or nobody has needed it for so long that its timeouts are over.
    pub(crate) fn is_over(&self, within: Duration, is_spent: impl FnOnce(&T) -> bool) -> bool {
        match self.outcome.peek() {
            Some(Ok(opened)) => is_spent(opened),
            Some(Err(_)) => true,
            None => self.begun.elapsed() > within,
        }
    }
}
