//! A clock that golock and its watchdog share: it is the machine's, it also counts the time that the machine was
//! suspended, and nobody sets it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A point of that clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// A sleep looks at the clock this often, for tokio's timer stands still while the machine is suspended.
const LONGEST_NAP: Duration = Duration::from_millis(250);

impl Moment {
    pub(crate) fn now() -> Self {
        #[cfg(target_os = "linux")]
        const CLOCK: ClockId = ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        const CLOCK: ClockId = ClockId::Monotonic;

        let time = clock_gettime(CLOCK);
        Self(u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0))
    }

    /// As it is sent to another process of this machine.
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn has_come(self) -> bool {
        Self::now() >= self
    }

    pub(crate) async fn come(self) {
        loop {
            let left = Duration::from_nanos(self.0.saturating_sub(Self::now().0));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LONGEST_NAP)).await;
        }
    }
}
