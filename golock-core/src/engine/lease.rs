//! What a lock, its watchers and the keeper share: until when the lease is believed to be held.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::warn;

use super::env::{Clock, Tick};
use super::telemetry::Held;
use crate::{FencingToken, GrantId, Label, LockName, LostReason};

/// One grant, from its answer to its end. The belief only ever goes `Held → Released` or `Held → Lost`.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) name: LockName,
    pub(crate) grant: GrantId,
    pub(crate) token: FencingToken,
    pub(crate) lock_by: Label,
    pub(crate) at_least: Duration,
    pub(super) held: Held,
    clock: Clock,
    belief: Mutex<Belief>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug)]
enum Belief {
    Held { deadline: Tick },
    Released,
    Lost(LostReason),
}

/// What [`Lease::new`] takes.
pub(super) struct Granted {
    pub(super) name: LockName,
    pub(super) grant: GrantId,
    pub(super) token: FencingToken,
    pub(super) lock_by: Label,
    pub(super) at_least: Duration,
    pub(super) deadline: Tick,
}

impl Lease {
    pub(super) fn new(granted: Granted, clock: Clock, held: Held) -> Arc<Self> {
        let Granted { name, grant, token, lock_by, at_least, deadline } = granted;
        let belief = Mutex::new(Belief::Held { deadline });
        Arc::new(Self { name, grant, token, lock_by, at_least, held, clock, belief, changed: Notify::new() })
    }

    pub(crate) fn is_held(&self) -> bool {
        self.deadline().is_some()
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.deadline().map_or(Duration::ZERO, |deadline| deadline.since(self.clock.now()))
    }

    /// The deadline, unless it has passed or nobody holds the lease any more.
    pub(super) fn deadline(&self) -> Option<Tick> {
        match *self.belief() {
            Belief::Held { deadline } => Some(deadline),
            Belief::Released | Belief::Lost(_) => None,
        }
    }

    /// How it was lost, if it was.
    pub(crate) fn lost_by(&self) -> Option<LostReason> {
        match *self.belief() {
            Belief::Lost(reason) => Some(reason),
            Belief::Held { .. } | Belief::Released => None,
        }
    }

    /// A renewal was confirmed. `false`: too late, it is lost or released already.
    pub(super) fn confirm(&self, confirmed: Tick) -> bool {
        match &mut *self.belief() {
            Belief::Held { deadline } => {
                // Whoever sleeps until the old deadline looks again by itself then.
                *deadline = confirmed.max(*deadline);
                self.held.renewed();
                true
            }
            Belief::Released | Belief::Lost(_) => false,
        }
    }

    /// The store said that it is lost.
    pub(super) fn lose(&self, reason: LostReason) {
        let mut belief = self.belief();
        if let Belief::Held { .. } = *belief {
            self.lost_now(&mut belief, reason);
        }
    }

    /// The holder gives it back. `Err`: it was lost before.
    pub(crate) fn give_back(&self) -> Result<(), LostReason> {
        let mut belief = self.belief();
        match *belief {
            Belief::Lost(reason) => Err(reason),
            Belief::Released => Ok(()),
            Belief::Held { .. } => {
                *belief = Belief::Released;
                self.held.given_back(self.clock.now());
                Ok(())
            }
        }
    }

    /// Ready once the lease is lost; never if it is released.
    pub(crate) async fn lost(self: Arc<Self>) -> LostReason {
        let mut asleep = pin!(self.sleep());
        poll_fn(|cx| match self.lost_by() {
            // Looked for at each poll: on a busy thread the timer may fire long after the deadline.
            Some(reason) => Poll::Ready(reason),
            None => asleep.as_mut().poll(cx),
        })
        .await
    }

    /// As [`lost`](Self::lost), but late by as much as the runtime's timers are.
    async fn sleep(&self) -> LostReason {
        loop {
            let changed = self.changed.notified();
            let belief = *self.belief();
            match belief {
                Belief::Lost(reason) => return reason,
                Belief::Released => std::future::pending().await,
                Belief::Held { deadline } => tokio::select! {
                    biased;
                    () = changed => {}
                    () = self.clock.sleep_until(deadline) => {}
                },
            }
        }
    }

    fn lost_now(&self, belief: &mut Belief, reason: LostReason) {
        *belief = Belief::Lost(reason);
        self.changed.notify_waiters();
        self.held.lost(self.clock.now(), reason);
        warn!(backend = self.held.series.backend, lock = %self.name, token = self.token.get(), %reason, "lease lost");
    }

    /// What is believed at this moment: a lease whose deadline has passed is lost before anybody sees it.
    fn belief(&self) -> MutexGuard<'_, Belief> {
        let mut belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        if let Belief::Held { deadline } = *belief
            && self.clock.now() >= deadline
        {
            self.lost_now(&mut belief, LostReason::Expired);
        }
        belief
    }
}
