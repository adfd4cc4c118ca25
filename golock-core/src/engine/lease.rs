//! What a lock, its watchers and the keeper share: until when the lease is believed to be held.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{debug, warn};

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
    /// The caller has it. Until then nobody has worked under it: it is not renewed, and given back as if it had never been
    /// granted.
    taken: AtomicBool,
    had_been_lost: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Belief {
    /// `known`: since when there is an answer that says so.
    Held {
        deadline: Tick,
        known: Tick,
    },
    /// `deadline`: until when it would have been held.
    Released {
        deadline: Tick,
    },
    Lost(LostReason),
}

/// The answer to a renewal: what remained at some time after it was `sent` and before `now`.
pub(super) struct Confirmed {
    pub(super) sent: Tick,
    pub(super) now: Tick,
    /// Until when the lease may be believed in for what the renewal asked for.
    pub(super) deadline: Tick,
    /// Until when for all that remained: an earlier extension may have asked for more.
    pub(super) whole: Tick,
    /// When the lease is over on the server, at the latest.
    pub(super) over: Tick,
    /// It was extended, and not only looked at.
    pub(super) extends: bool,
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
        let belief = Mutex::new(Belief::Held { deadline, known: held.since });
        let (changed, taken, had_been_lost) = (Notify::new(), AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self {
            name,
            grant,
            token,
            lock_by,
            at_least,
            held,
            clock,
            belief,
            changed,
            taken,
            had_been_lost,
        })
    }

    pub(crate) fn take(&self) {
        self.taken.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn is_held(&self) -> bool {
        self.deadline().is_some()
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.deadline().map_or(Duration::ZERO, |deadline| deadline.since(self.clock.now()))
    }

    /// The deadline, unless it has passed or nobody holds the lease any more.
    pub(super) fn deadline(&self) -> Option<Tick> {
        match self.belief() {
            Belief::Held { deadline, .. } => Some(deadline),
            Belief::Released { .. } | Belief::Lost(_) => None,
        }
    }

    /// How it was lost, if it was.
    pub(crate) fn lost_by(&self) -> Option<LostReason> {
        match self.belief() {
            Belief::Lost(reason) => Some(reason),
            Belief::Held { .. } | Belief::Released { .. } => None,
        }
    }

    /// A renewal was confirmed. Too late, if the lease is lost or released already.
    ///
    /// Answers overtake each other, so one that says less than is known changes nothing. But if it was asked for after that was
    /// known, the store has forgotten an extension, by a crash or a failover: then it is right.
    pub(super) fn confirm(&self, confirmed: &Confirmed) {
        let (was, is) = self.change(|belief| {
            let Belief::Held { deadline, known } = belief else { return };
            let is_forgotten = confirmed.sent >= *known && *deadline > confirmed.over;
            let whole = if is_forgotten { confirmed.whole } else { *deadline };
            let next = confirmed.deadline.max(whole);
            if next != *deadline {
                (*deadline, *known) = (next, confirmed.now);
            }
        });
        if let (Belief::Held { deadline: was, .. }, Belief::Held { deadline: is, .. }) = (was, is) {
            if confirmed.extends {
                self.held.renewed();
            }
            if is < was {
                // Whoever sleeps until a later deadline does not look again by itself.
                self.changed.notify_waiters();
                debug!(
                    lock = self.name.as_str(),
                    token = self.token.get(),
                    "the store has forgotten an extension"
                );
            }
        }
    }

    /// The store said that it is lost.
    pub(super) fn lose(&self, reason: LostReason) {
        self.change(|belief| {
            if let Belief::Held { .. } = belief {
                *belief = Belief::Lost(reason);
            }
        });
    }

    /// The holder gives it back. `Err`: it was lost before.
    pub(crate) fn give_back(&self) -> Result<(), LostReason> {
        let (was, is) = self.change(|belief| {
            if let Belief::Held { deadline, .. } = *belief {
                *belief = Belief::Released { deadline };
            }
        });
        match (was, is) {
            (_, Belief::Lost(reason)) => Err(reason),
            (Belief::Held { .. }, _) => {
                self.held.given_back(self.clock.now());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The store's first answer, to its being given back, is that it was lost. It surely was before that if its time was not over: then
    /// nobody else could have it.
    pub(super) fn was_not_there(&self, reason: LostReason) {
        if let Belief::Released { deadline } = self.belief()
            && self.clock.now() < deadline
        {
            self.had_been_lost.store(true, Ordering::Release);
            self.held.had_been_lost(reason);
            self.tell_loss(reason);
        }
    }

    /// It was lost before it was given back, as only the store's answer to that has shown.
    pub(crate) fn had_been_lost(&self) -> bool {
        self.had_been_lost.load(Ordering::Acquire)
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
            match self.belief() {
                Belief::Lost(reason) => return reason,
                Belief::Released { .. } => std::future::pending().await,
                Belief::Held { deadline, .. } => tokio::select! {
                    biased;
                    () = changed => {}
                    () = self.clock.sleep_until(deadline) => {}
                },
            }
        }
    }

    /// What is believed at this moment: a lease whose deadline has passed is lost before anybody sees it.
    fn belief(&self) -> Belief {
        self.change(|_| {}).1
    }

    /// What was believed before a change, and what after it. If the lease is lost by that everybody is told, once.
    fn change(&self, change: impl FnOnce(&mut Belief)) -> (Belief, Belief) {
        let (was, is) = {
            let mut belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
            let was = *belief;
            if let Belief::Held { deadline, .. } = was
                && self.clock.now() >= deadline
            {
                *belief = Belief::Lost(LostReason::Expired);
            }
            change(&mut belief);
            (was, *belief)
        };
        // Not under the mutex: whoever is told may look at the lease.
        if let (Belief::Held { .. }, Belief::Lost(reason)) = (was, is) {
            self.changed.notify_waiters();
            self.held.lost(self.clock.now(), reason);
            self.tell_loss(reason);
        }
        (was, is)
    }

    fn tell_loss(&self, reason: LostReason) {
        let (backend, lock, token) = (self.held.series.backend, self.name.as_str(), self.token.get());
        warn!(backend, lock, token, ?reason, "lease lost");
    }
}
