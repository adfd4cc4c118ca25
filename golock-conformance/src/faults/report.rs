//! What a run did and found, for people.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::kind::Kind;
use super::ledger::Entries;
use super::plan::Plan;
use crate::history::Violation;

/// A kind of fault that could not be done so often, and never was, proves nothing, and nobody would know.
const IN_VAIN: u64 = 3;

/// What a run did and found.
///
/// Its text ends in one line that programs may read: `redis: 210 faults of 12 kinds, 51234 operations, 3456 grants, 0 violations`.
#[derive(Clone, Debug)]
pub struct Report {
    fixture: String,
    plan: Plan,
    duration: Duration,
    faults: BTreeMap<Kind, u64>,
    failed: BTreeMap<Kind, (u64, String)>,
    impossible: Vec<(Kind, &'static str)>,
    possible: usize,
    operations: BTreeMap<&'static str, u64>,
    endings: BTreeMap<&'static str, u64>,
    grants: u64,
    writes: (usize, usize),
    looks: u64,
    longest_stay: Duration,
    patience: Duration,
    violations: Vec<Violation>,
}

impl Report {
    pub(super) fn new(
        fixture: &str,
        plan: &Plan,
        duration: Duration,
        entries: &Entries,
        possible: usize,
        impossible: Vec<(Kind, &'static str)>,
    ) -> Self {
        let verdict = entries.history.check();
        let mut violations = verdict.violations;
        violations.extend(entries.broken.iter().cloned());
        Self {
            fixture: fixture.to_owned(),
            plan: plan.clone(),
            duration,
            faults: entries.faults.clone(),
            failed: entries.failed.clone(),
            impossible,
            possible,
            operations: entries.operations.clone(),
            endings: entries.endings.clone(),
            grants: entries.history.grants() as u64,
            writes: entries.history.writes(),
            looks: entries.looks,
            longest_stay: verdict.longest_stay,
            patience: entries.history.patience(),
            violations,
        }
    }

    /// How many faults took effect.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// How many kinds of faults did.
    pub fn kinds(&self) -> u64 {
        self.faults.len() as u64
    }

    /// How many of golock's calls were made.
    pub fn operations(&self) -> u64 {
        self.operations.values().sum()
    }

    /// How many locks were granted.
    pub fn grants(&self) -> u64 {
        self.grants
    }

    /// What can't have been, if the store is right.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What there was too little of for the run to prove anything: a run of this length in which hardly anything happened, or a kind of
    /// fault that was only tried.
    pub fn too_little(&self) -> Vec<String> {
        let done = [self.faults(), self.kinds(), self.operations(), self.grants(), self.looks];
        let least = self.plan.least(self.possible).into_iter().zip(done);
        let too_few = least
            .filter(|((_, least), done)| done < least)
            .map(|((what, least), done)| format!("too few {what}: {done}, and not {least} or more"));
        let never = self
            .failed
            .iter()
            .filter(|(kind, (count, _))| *count >= IN_VAIN && !self.faults.contains_key(kind))
            .map(|(kind, (count, why))| format!("{kind} was tried {count} times in vain: {why}"));
        too_few.chain(never).collect()
    }

    /// The last line.
    pub fn summary(&self) -> String {
        format!(
            "{}: {} faults of {} kinds, {} operations, {} grants, {} violations",
            self.fixture,
            self.faults(),
            self.kinds(),
            self.operations(),
            self.grants(),
            self.violations.len()
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, lockers, callers, names, lease, .. } = self.plan;
        writeln!(
            f,
            "{}: seed {seed}, {:.0} s, {lockers} lockers of {callers} callers on {names} names, leases up to {lease:?}",
            self.fixture,
            self.duration.as_secs_f64()
        )?;
        for (kind, count) in &self.faults {
            writeln!(f, "  {count:>8} {kind}")?;
        }
        for (kind, (count, why)) in &self.failed {
            writeln!(f, "  {count:>8} {kind}: could not be done, the last because: {}", why.trim())?;
        }
        for (kind, why) in &self.impossible {
            writeln!(f, "         - {kind}: {why}")?;
        }
        for (what, counts) in [("calls", &self.operations), ("outcomes", &self.endings)] {
            let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            writeln!(f, "  {what}: {}", counts.join(" · "))?;
        }
        let (writes, refused) = self.writes;
        writeln!(f, "  fenced register: {writes} writes, {refused} of them too late and refused")?;
        writeln!(
            f,
            "  longest that a name stayed taken when nobody held it: {:?}, of {:?} that it may ({} looks)",
            self.longest_stay, self.patience, self.looks
        )?;
        for violation in self.violations.iter().take(SHOWN) {
            writeln!(f, "  VIOLATION {violation}")?;
        }
        if self.violations.len() > SHOWN {
            writeln!(f, "  … and {} more", self.violations.len() - SHOWN)?;
        }
        for what in self.too_little() {
            writeln!(f, "  {what}")?;
        }
        f.write_str(&self.summary())
    }
}

/// The others are like them.
const SHOWN: usize = 20;
