//! When the server's clock stepped, and which beliefs that explains.

use std::time::{Duration, Instant};

use super::{Grant, History};

/// Times in which the server's clock stepped, none touching another.
pub(super) struct Steps {
    spans: Vec<(Instant, Instant)>,
    lease: Duration,
}

impl Steps {
    pub(super) fn new(history: &History) -> Self {
        let mut sorted = history.steps.clone();
        sorted.sort();
        let mut spans = Vec::<(Instant, Instant)>::new();
        for (from, to) in sorted {
            match spans.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => spans.push((from, to)),
            }
        }
        Self { spans, lease: history.lease }
    }

    /// Until when the grant's belief is held against anybody; `None`: never.
    ///
    /// A step may end a lease whose holder goes on believing, though for no longer than a lease: the store renews none that is over.
    /// So the belief of a holder that asked before the step was over, and stopped within a lease after it, counts until it began. One
    /// that believed for longer was renewed since: no step had ended its lease. One that asked later has a lease of a steady clock.
    pub(super) fn belief(&self, grant: &Grant) -> Option<Instant> {
        let believed = grant.believed?;
        match self.doubt(grant) {
            Some(from) => (grant.received < from).then_some(from),
            None => Some(believed),
        }
    }

    /// Whether a step explains that the register refused one holder that believed, because another had written: that one was granted
    /// what the step had ended.
    pub(super) fn explain(&self, refused: &Grant, newest: &Grant) -> bool {
        self.doubt(refused).is_some_and(|from| newest.received >= from)
    }

    /// Since when the holder may have believed in a lease that a step had ended.
    fn doubt(&self, grant: &Grant) -> Option<Instant> {
        let believed = grant.believed?;
        let over = self.spans.partition_point(|(_, to)| *to + self.lease < believed);
        let (from, to) = self.spans.get(over)?;
        (*from <= believed && grant.asked <= *to).then_some(*from)
    }
}
