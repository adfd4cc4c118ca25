//! What the keeper has to do later: one ordered set, one sleep.

use std::collections::BTreeMap;

use super::env::Tick;
use crate::{GrantId, LockName};

/// Something due. A timer is never cancelled: who set it looks, when it fires, whether it still means anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// A lease may have run out.
    Deadline(GrantId),
    /// Leases may want to be renewed.
    Renew,
    /// A release or an undo is to be tried (again).
    End(GrantId),
    /// The head of a line may ask again, if it still sleeps this sleep.
    Ask(LockName, u64),
    /// A caller has waited long enough.
    WaitOver(LockName, u64),
    /// The lost listener may be opened again.
    Listen,
    /// The time for a shutdown is over.
    ShutdownOver,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<(Tick, u64), Timer>,
    set: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Tick, timer: Timer) {
        self.set += 1;
        self.due.insert((at, self.set), timer);
    }

    pub(super) fn next(&self) -> Option<Tick> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The earliest timer due by `now`.
    pub(super) fn pop(&mut self, now: Tick) -> Option<Timer> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
