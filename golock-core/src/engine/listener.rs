//! The one listener of a locker: names that were freed elsewhere.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::CatchUnwind;
use tracing::debug;

use super::env::Tick;
use super::keeper::Keeper;
use super::timers::Timer;
use crate::store::{Wakeup, Wakeups};

/// How soon a lost listener is opened again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Listener {
    stream: Option<CatchUnwind<AssertUnwindSafe<Wakeups>>>,
    /// Since when it hears.
    listening: Option<Tick>,
    failures: u32,
}

impl Listener {
    /// Whether a name that is freed from here on will be heard of.
    pub(super) fn is_listening(&self) -> bool {
        self.listening.is_some()
    }

    /// Whether it has missed nothing since then, nor the store maybe lost a mark that was set.
    pub(super) fn has_heard_since(&self, then: Tick) -> bool {
        self.listening.is_some_and(|since| since <= then)
    }

    /// The next event; `None` when the stream has ended, or panicked. Pending while there is no stream.
    pub(super) async fn next(&mut self) -> Option<Wakeup> {
        match &mut self.stream {
            Some(stream) => stream.next().await?.ok(),
            None => std::future::pending().await,
        }
    }
}

impl Keeper {
    /// Somebody has to wait: opens the listener unless it is open, or about to be.
    pub(super) fn listen_soon(&mut self) {
        if self.listener.stream.is_none() && self.timers.at(&Timer::Listen).is_none() {
            self.listen();
        }
    }

    pub(super) fn listen(&mut self) {
        if !self.calls.capabilities.wakeups {
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| self.calls.store.wakeups())) {
            Ok(Some(stream)) => self.listener.stream = Some(AssertUnwindSafe(stream).catch_unwind()),
            Ok(None) | Err(_) => self.listen_later(),
        }
    }

    pub(super) fn woken(&mut self, event: Option<Wakeup>) {
        match event {
            Some(Wakeup::Listening) => {
                if !self.listener.is_listening() {
                    self.listener.listening = Some(self.calls.clock.now());
                    self.unmark_lines();
                }
                self.freed_any();
            }
            Some(Wakeup::Freed(name)) => {
                self.listener.failures = 0;
                self.freed(&name);
            }
            Some(Wakeup::Deaf) => self.deaf(),
            None => {
                self.listener.stream = None;
                self.deaf();
                self.listen_later();
            }
        }
    }

    fn deaf(&mut self) {
        let Some(since) = self.listener.listening.take() else { return };
        // One that ends as soon as it hears is not worth being opened at once, time after time.
        if self.now().since(since) > LONGEST_PAUSE {
            self.listener.failures = 0;
        }
        self.sleep_lightly();
    }

    fn listen_later(&mut self) {
        debug!(backend = self.calls.capabilities.backend, "no listener, waiting goes on without");
        let pause = FIRST_PAUSE.saturating_mul(1 << self.listener.failures.min(10)).min(LONGEST_PAUSE);
        self.listener.failures = self.listener.failures.saturating_add(1);
        let at = self.now().after(self.env.jittered(pause));
        self.timers.set(at, Timer::Listen);
    }
}
