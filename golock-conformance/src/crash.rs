//! Ways to leave in the middle: a future dropped after some polls, a thread outside of the runtime, a holder whose
//! runtime ends.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use golock_core::{Error, Lock, LockOptions, LockStore, Locker};
use tokio::runtime;
use tokio::sync::oneshot;

/// Polls a future `times` times, each when it has asked for it, and drops it: `None` unless it ended by then.
pub(crate) async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Runs something on a plain thread, outside of any runtime; what it returned, or its panic.
pub(crate) async fn on_a_plain_thread<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        // Nobody listens if the case has ended meanwhile.
        let _ = send.send(outcome);
    });
    match ended.await {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => panic!("the thread ended without an outcome"),
    }
}

/// Locks in a current-thread runtime of its own, which then ends. Nobody is left to renew or release; the lock
/// itself still exists.
pub(crate) fn lock_whose_runtime_ends(
    store: Arc<dyn LockStore>,
    options: LockOptions,
) -> Result<Lock, Error> {
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    runtime.block_on(async { Locker::new(store).try_lock(options).await })
}

/// A panic that a case wants.
pub(crate) struct OnPurpose;
