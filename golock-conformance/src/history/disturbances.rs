//! When faults stood.

use std::time::{Duration, Instant};

/// Times of faults, by their begin, each with the latest end of those up to it.
pub(super) struct Disturbances {
    begins: Vec<Instant>,
    ends: Vec<Instant>,
}

impl Disturbances {
    pub(super) fn new(spans: &[(Instant, Instant)]) -> Self {
        let mut spans = spans.to_vec();
        spans.sort();
        let ends = spans.iter().scan(None, |latest, (_, to)| {
            *latest = (*latest).max(Some(*to));
            *latest
        });
        let ends = ends.collect();
        Self { begins: spans.into_iter().map(|(from, _)| from).collect(), ends }
    }

    /// Since when no fault stands (`None`: none has yet), unless one does.
    #[allow(clippy::option_option, reason = "two questions: is one standing, and has one been")]
    pub(super) fn undisturbed_at(&self, at: Instant) -> Option<Option<Instant>> {
        let begun = self.begins.partition_point(|from| *from <= at);
        match begun.checked_sub(1).map(|last| self.ends[last]) {
            Some(end) if end >= at => None,
            end => Some(end),
        }
    }

    /// Whether one stood between the two, or less than `patience` before.
    pub(super) fn excuse(&self, from: Instant, to: Instant, patience: Duration) -> bool {
        let begun = self.begins.partition_point(|begin| *begin <= to);
        begun.checked_sub(1).is_some_and(|last| self.ends[last] + patience >= from)
    }
}
