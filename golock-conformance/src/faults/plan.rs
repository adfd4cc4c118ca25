//! What a run does: for how long, with how many, and which faults come when, by a seed.

use std::env;
use std::time::Duration;

use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::kind::Kind;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) seed: u64,
    pub(super) duration: Duration,
    pub(super) lease: Duration,
    pub(super) lockers: usize,
    pub(super) callers: usize,
    pub(super) names: usize,
    /// The program's `main` knows what to do as a process that holds locks.
    pub(super) processes: bool,
}

/// One fault of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// What happens.
    pub kind: Kind,
    /// When, after the begin of its round.
    pub after: Duration,
    /// For how long, where that is not the server's to say.
    pub lasts: Duration,
    /// To which locker or name, counted over all there are.
    pub to: usize,
}

impl Plan {
    /// A run of this length, its faults from this seed: four lockers of four callers on twelve names, with leases up to 2 s.
    ///
    /// The seed decides which faults come when and what callers choose, not how fast the server is: the same seed gives the same
    /// faults, and a history that is alike.
    pub fn new(seed: u64, duration: Duration) -> Self {
        Self {
            seed,
            duration,
            lease: Duration::from_secs(2),
            lockers: 4,
            callers: 4,
            names: 12,
            processes: false,
        }
    }

    /// The same with as many callers a locker, at least one. A server that is asked for more than it can answer in time proves
    /// nothing; a fast one that is asked for little proves less.
    #[must_use]
    pub fn callers(mut self, callers: usize) -> Self {
        self.callers = callers.max(1);
        self
    }

    /// As `GOLOCK_FAULTS_SEED` (1 by default), `GOLOCK_FAULTS_SECONDS` (15) and `GOLOCK_FAULTS_CALLERS` (4) say.
    ///
    /// # Panics
    /// If one of them is not a number.
    pub fn from_env() -> Self {
        let seconds = Duration::from_secs(variable("GOLOCK_FAULTS_SECONDS").unwrap_or(15));
        let plan = Self::new(variable("GOLOCK_FAULTS_SEED").unwrap_or(1), seconds);
        match variable("GOLOCK_FAULTS_CALLERS") {
            Some(callers) => plan.callers(callers.try_into().unwrap_or(usize::MAX)),
            None => plan,
        }
    }

    /// The schedule, a round at a time and without end, out of these kinds: each kind comes once before any comes again.
    pub fn rounds(&self, kinds: &[Kind]) -> impl Iterator<Item = Vec<Step>> + use<> {
        let mut chance = self.chance(0);
        let (kinds, mut deck) = (kinds.to_vec(), Vec::new());
        std::iter::from_fn(move || {
            if kinds.is_empty() {
                return None;
            }
            let steps = (0..A_ROUND).map(|_| {
                if deck.is_empty() {
                    deck.clone_from(&kinds);
                    deck.shuffle(&mut chance);
                }
                Step {
                    kind: deck.pop().unwrap_or(kinds[0]),
                    after: Duration::from_millis(chance.random_range(0..3_000)),
                    lasts: Duration::from_millis(chance.random_range(100..1_500)),
                    to: chance.random_range(0..1_000),
                }
            });
            let mut steps: Vec<Step> = steps.collect();
            steps.sort_by_key(|step| step.after);
            Some(steps)
        })
    }

    /// What a run of this length must have done at the least to prove anything, out of so many kinds: faults, kinds, operations,
    /// grants, looks at names.
    pub(super) fn least(&self, kinds: usize) -> [(&'static str, u64); 5] {
        let seconds = self.duration.as_secs();
        let least = if kinds == 0 { 0 } else { (seconds / 4).max(1) };
        let kinds = (kinds as u64 / 2).min(least);
        [
            ("faults", least),
            ("kinds", kinds),
            ("operations", seconds * 10),
            ("grants", seconds),
            ("looks at names", seconds),
        ]
    }

    /// A generator of numbers of its own for each who takes part.
    pub(super) fn chance(&self, of: u64) -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(of))
    }
}

#[allow(clippy::panic, reason = "a misspelt number must not run the default in silence")]
fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name}={value:?} is not a number"),
    }
}

/// Faults of one round.
const A_ROUND: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_schedule_and_another_another() {
        let rounds = |seed| Plan::new(seed, Duration::ZERO).rounds(&Kind::ALL).take(5).collect::<Vec<_>>();
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
    }

    #[test]
    fn each_kind_comes_before_any_comes_again() {
        let plan = Plan::new(3, Duration::ZERO);
        let mut first: Vec<_> =
            plan.rounds(&Kind::ALL[..A_ROUND]).take(1).flatten().map(|step| step.kind).collect();
        first.sort();
        assert_eq!(first, Kind::ALL[..A_ROUND]);
    }

    #[test]
    fn without_kinds_there_are_no_rounds() {
        assert_eq!(Plan::new(3, Duration::ZERO).rounds(&[]).count(), 0);
    }
}
