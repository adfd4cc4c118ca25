//! The one listener of a locker: names that were freed elsewhere.

use std::time::Duration;

use futures_util::StreamExt;
use tracing::debug;

use super::keeper::Keeper;
use super::timers::Timer;
use crate::store::{Wakeup, Wakeups};

/// How soon a lost listener is opened again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Listener {
    stream: Option<Wakeups>,
    listening: bool,
    reopening: bool,
    failures: u32,
}

impl Listener {
    /// Whether a name that is freed from here on will be heard of.
    pub(super) fn is_listening(&self) -> bool {
        self.listening
    }

    /// The next event; `None` when the stream has ended. Pending while there is no stream.
    pub(super) async fn next(&mut self) -> Option<Wakeup> {
        match &mut self.stream {
            Some(stream) => stream.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Keeper {
    /// Somebody has to wait: opens the listener unless it is open, or about to be.
    pub(super) fn listen_soon(&mut self) {
        if self.listener.stream.is_none() && !self.listener.reopening {
            self.listen();
        }
    }

    pub(super) fn listen(&mut self) {
        self.listener.reopening = false;
        if self.calls.capabilities.wakeups && self.listener.stream.is_none() {
            self.listener.stream = self.calls.store.wakeups();
        }
    }

    pub(super) fn woken(&mut self, event: Option<Wakeup>) {
        match event {
            Some(Wakeup::Listening) => {
                self.listener.listening = true;
                self.listener.failures = 0;
                self.freed_any();
            }
            Some(Wakeup::Freed(name)) => self.freed(&name),
            Some(Wakeup::Deaf) => self.deaf(),
            None => {
                self.listener.stream = None;
                self.deaf();
                debug!("the listener was lost, waiting goes on without");
                self.listener.failures = self.listener.failures.saturating_add(1);
                let pause =
                    FIRST_PAUSE.saturating_mul(1 << (self.listener.failures - 1).min(10)).min(LONGEST_PAUSE);
                self.listener.reopening = true;
                let at = self.now().after(self.env.jittered(pause));
                self.timers.set(at, Timer::Listen);
            }
        }
    }

    fn deaf(&mut self) {
        if std::mem::take(&mut self.listener.listening) {
            self.sleep_lightly();
        }
    }
}
