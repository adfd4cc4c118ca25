//! Where everybody who takes part writes down what it did and saw, and the register that the locks guard.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use golock_core::{Error, FencingToken, LockName, LockWatch};

use super::kind::Kind;
use crate::history::{Grant, History, Violation};

/// The history of a run, its counts, and the fenced register: in this process's memory, which no fault of the server reaches.
pub(super) struct Ledger {
    entries: Mutex<Entries>,
}

pub(super) struct Entries {
    pub(super) history: History,
    /// The newest token that has written, by name.
    register: BTreeMap<LockName, FencingToken>,
    pub(super) operations: BTreeMap<&'static str, u64>,
    pub(super) endings: BTreeMap<&'static str, u64>,
    pub(super) faults: BTreeMap<Kind, u64>,
    /// Faults that could not be done, and why: the last reason of a kind.
    pub(super) failed: BTreeMap<Kind, (u64, String)>,
    pub(super) broken: Vec<Violation>,
    /// How often the store has said who holds a name, if anybody does.
    pub(super) looks: u64,
}

impl Ledger {
    pub(super) fn new(history: History) -> Self {
        let entries = Entries {
            history,
            register: BTreeMap::new(),
            operations: BTreeMap::new(),
            endings: BTreeMap::new(),
            faults: BTreeMap::new(),
            failed: BTreeMap::new(),
            broken: Vec::new(),
            looks: 0,
        };
        Self { entries: Mutex::new(entries) }
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call of golock's is about to be made.
    pub(super) fn operation(&self, what: &'static str) {
        *self.entries().operations.entry(what).or_default() += 1;
    }

    /// How a call or a lock ended.
    pub(super) fn ending(&self, how: &'static str) {
        *self.entries().endings.entry(how).or_default() += 1;
    }

    pub(super) fn granted(&self, grant: Grant) {
        self.entries().history.granted(grant);
    }

    /// A call got no lock.
    pub(super) fn not_granted(&self, name: &LockName, asked: Instant, error: &Error) {
        let (name, now) = (name.clone(), Instant::now());
        if error.is_held() {
            self.ending("refused");
            self.entries().history.refused(name, asked, now);
        } else {
            self.ending(if error.is_transient() { "failed for now" } else { "failed" });
            self.entries().history.gave_up(name, asked, now);
        }
    }

    pub(super) fn gave_up(&self, name: &LockName, asked: Instant) {
        self.ending("dropped");
        self.entries().history.gave_up(name.clone(), asked, Instant::now());
    }

    /// A holder writes to the register, which takes nothing older than it has taken.
    pub(super) fn write(&self, lock: &LockWatch) {
        self.write_as(lock.name(), lock.token(), || lock.is_held());
    }

    pub(super) fn write_as(&self, name: &LockName, token: FencingToken, believes: impl FnOnce() -> bool) {
        let mut entries = self.entries();
        let newest = entries.register.entry(name.clone()).or_insert(token);
        let taken = token >= *newest;
        *newest = token.max(*newest);
        // Looked at afterwards: a holder that has stopped believing by now may have been overtaken.
        entries.history.wrote(name.clone(), token, taken, believes());
    }

    /// Whether somebody with a newer token has written.
    pub(super) fn is_overtaken(&self, name: &LockName, token: FencingToken) -> bool {
        self.entries().register.get(name).is_some_and(|newest| *newest > token)
    }

    pub(super) fn broken(&self, what: String) {
        self.entries().broken.push(Violation::Broken { what });
    }
}
