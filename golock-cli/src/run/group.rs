//! The process group that a command runs in, and the ways to end it.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// A process group. Its number stays its own for as long as its first process has not been waited for, or any other
/// of its processes lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group(Pid);

/// Between two looks at whether all have gone.
const PAUSE: Duration = Duration::from_millis(10);

impl Group {
    pub(super) fn led_by(pid: u32) -> Option<Self> {
        // Never 1 or less, which would be everybody.
        i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw).map(Self)
    }

    pub(super) fn leader(self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// Asks all to end, also those that are stopped.
    pub(super) fn terminate(self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Ends all of them: none can run on, or start another.
    pub(super) fn kill(self) {
        self.signal(Signal::KILL);
    }

    pub(super) fn signal(self, signal: Signal) {
        // An error says that none is left, or that all have become another user's.
        let _ = kill_process_group(self.0, signal);
    }

    /// None is left, not even one that was not yet waited for.
    pub(super) fn is_empty(self) -> bool {
        test_kill_process_group(self.0) == Err(Errno::SRCH)
    }

    /// Returns when none is left.
    pub(super) async fn empty(self) {
        while !self.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
