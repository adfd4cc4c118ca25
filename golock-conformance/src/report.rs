//! What came of the cases.

use std::fmt;

use crate::case::Case;

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The property holds.
    Passed,
    /// It does not, for this reason.
    Failed(String),
    /// It was not looked at, for this reason.
    Ignored(String),
}

/// What came of every case over one fixture.
#[derive(Clone, Debug)]
pub struct Report {
    fixture: String,
    outcomes: Vec<(&'static str, &'static str, Outcome)>,
}

impl Report {
    pub(crate) fn new(fixture: &str) -> Self {
        Self { fixture: fixture.to_owned(), outcomes: Vec::new() }
    }

    pub(crate) fn add(&mut self, case: &Case, outcome: Outcome) {
        self.outcomes.push((case.name, case.proves(), outcome));
    }

    /// Each case's name and outcome, in the order in which they ended.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, &Outcome)> {
        self.outcomes.iter().map(|(name, _, outcome)| (*name, outcome))
    }

    /// The names of the cases that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        self.outcomes()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
            .map(|(name, _)| name)
            .collect()
    }

    /// Panics with the report if a case failed: for use in a test.
    ///
    /// # Panics
    /// If a case failed.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.failed().is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    /// What failed and why first, then what was ignored and why, then how many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut failed, mut ignored) = (0, 0);
        for (name, proves, outcome) in &self.outcomes {
            if let Outcome::Failed(reason) = outcome {
                failed += 1;
                writeln!(
                    f,
                    "FAILED  {}::{name}: {reason}\n        which is to prove: {proves}",
                    self.fixture
                )?;
            }
        }
        for (name, _, outcome) in &self.outcomes {
            if let Outcome::Ignored(reason) = outcome {
                ignored += 1;
                writeln!(f, "ignored {}::{name}: {reason}", self.fixture)?;
            }
        }
        let passed = self.outcomes.len() - failed - ignored;
        write!(f, "{}: {passed} passed, {failed} failed, {ignored} ignored", self.fixture)
    }
}
