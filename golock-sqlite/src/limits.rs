//! How long the call that this thread is working on may go on: SQLite asks while it waits for a lock, and while a
//! statement runs.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static LIMITS: Cell<Option<Limits>> = const { Cell::new(None) };
}

/// The longest pause between two looks at the write lock. SQLite has no queue for it, so whoever waits looks again; a
/// write takes about as long as the disk takes to sync.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
const PAUSE_STEP: Duration = Duration::from_micros(250);

/// The limits of one call, counted from when it was made.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Until then a lock that others hold is waited for.
    patience: Instant,
    /// Then the statement is interrupted.
    end: Instant,
}

impl Limits {
    /// A call made now that may take this long. Half of it is for waiting, so that it is told that it had to wait in vain
    /// before its caller gives up: then it is sure that nothing was done.
    pub(crate) fn of(request_timeout: Duration) -> Self {
        let now = Instant::now();
        Self { patience: now + request_timeout / 2, end: now + request_timeout }
    }

    pub(crate) fn are_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// From here on these are the limits of what this thread does.
    pub(crate) fn enter(self) {
        LIMITS.set(Some(self));
    }
}

/// Waits a moment for a lock; `false`: it was waited for long enough.
pub(crate) fn wait_a_moment(tries: i32) -> bool {
    let patient = LIMITS.get().is_some_and(|limits| Instant::now() < limits.patience);
    if patient {
        let tries = u32::try_from(tries).unwrap_or(0).saturating_add(1);
        std::thread::sleep(PAUSE_STEP.saturating_mul(tries).min(LONGEST_PAUSE));
    }
    patient
}

/// The statement has run for too long.
pub(crate) fn are_over() -> bool {
    LIMITS.get().is_some_and(|limits| limits.are_over())
}
