//! Waiting for a condition: a short pause between looks, and a generous end.

use std::future::Future;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::{self, Instant};

use crate::effort::GIVE_UP;

/// Between two looks at a condition, until it is given up.
pub(crate) struct Patience {
    what: &'static str,
    end: Instant,
    pause: Duration,
}

impl Patience {
    pub(crate) fn for_(what: &'static str) -> Self {
        Self { what, end: Instant::now() + GIVE_UP, pause: Duration::from_millis(1) }
    }

    /// Waits a little longer each time, up to 20 ms.
    pub(crate) async fn pause(&mut self) {
        assert!(Instant::now() < self.end, "waited {GIVE_UP:?} in vain for {}", self.what);
        time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(20));
    }
}

/// The outcome of a future that must end, but may take its time.
pub(crate) async fn within_reason<T>(what: &str, future: impl Future<Output = T>) -> T {
    match time::timeout(GIVE_UP, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {GIVE_UP:?} in vain for {what}"),
    }
}

/// The outcome of a task; its panic is the case's.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    unpanicked(task.await)
}

pub(crate) fn unpanicked<T>(result: Result<T, JoinError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("a task of the case was ended: {error}"),
        },
    }
}
