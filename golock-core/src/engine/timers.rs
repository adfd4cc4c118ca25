//! What the keeper has to do later: one ordered set, one sleep.

use std::collections::{BTreeMap, BTreeSet};

use super::env::Tick;
use crate::{GrantId, LockName};

/// Something due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A lease may have run out.
    Deadline,
    /// Leases may want to be renewed.
    Renew,
    /// A release or an undo is to be tried (again).
    End(GrantId),
    /// The head of a line has slept long enough.
    Ask(LockName),
    /// A caller has waited long enough.
    WaitOver(LockName, u64),
    /// The lost listener may be opened again.
    Listen,
    /// The time for a shutdown is over.
    ShutdownOver,
}

/// Each timer is set once at most. Whoever set it cancels it when it means nothing any more: a lease of a year that
/// is given back at once must not be remembered for a year.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Tick, Timer)>,
    set: BTreeMap<Timer, Tick>,
}

impl Timers {
    /// Sets a timer, or moves it.
    pub(super) fn set(&mut self, at: Tick, timer: Timer) {
        if self.at(&timer) == Some(at) {
            return;
        }
        self.cancel(&timer);
        self.due.insert((at, timer.clone()));
        self.set.insert(timer, at);
    }

    /// Sets a timer, or moves it if it is due later than that.
    pub(super) fn set_earlier(&mut self, at: Tick, timer: Timer) {
        let at = self.at(&timer).map_or(at, |set| set.min(at));
        self.set(at, timer);
    }

    /// Sets a timer that stands for all of these to the earliest of them; it is cancelled if there are none.
    pub(super) fn set_to_first(&mut self, due: &BTreeSet<(Tick, GrantId)>, timer: Timer) {
        match due.first() {
            Some((at, _)) => self.set(*at, timer),
            None => self.cancel(&timer),
        }
    }

    pub(super) fn cancel(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.set.remove_entry(timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// When a timer is due, if it is set.
    pub(super) fn at(&self, timer: &Timer) -> Option<Tick> {
        self.set.get(timer).copied()
    }

    /// When the earliest timer is due.
    pub(super) fn next(&self) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The earliest timer due by `now`.
    pub(super) fn pop(&mut self, now: Tick) -> Option<Timer> {
        self.next().filter(|at| *at <= now)?;
        let (_, timer) = self.due.pop_first()?;
        self.set.remove(&timer);
        Some(timer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.due.len(), self.set.len());
        self.due.len()
    }
}
