//! Turns for those who wait elsewhere and whom the store does not know of, for nothing can wake them: they look now and then, and
//! a name that goes from one to the next in line is never free when they do.

use std::time::Duration;

use super::env::Tick;

/// What part of the time a name is left to others, if they are known to want it, and else.
const KNOWN: u32 = 5;
const UNKNOWN: u32 = 50;

/// The shortest pause there is any sense in, and the longest: as long as others sleep.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1);

/// So many pauses in a row in which nobody took the name, and there is nobody.
const VAIN_PAUSES: u32 = 100;

#[derive(Default)]
pub(super) struct Strangers {
    /// For how many pauses more they are believed to be there.
    believed: u32,
    /// Since when the name has been ours.
    ours_since: Option<Tick>,
    pause: Option<Duration>,
}

impl Strangers {
    /// Somebody elsewhere holds the name, and may want it again.
    pub(super) fn hold_it(&mut self) {
        *self = Self { believed: VAIN_PAUSES, ..Self::default() };
    }

    pub(super) fn are_believed(&self) -> bool {
        self.believed > 0
    }

    /// The name is ours, since it was asked for.
    pub(super) fn are_kept_waiting(&mut self, since: Tick) {
        self.ours_since.get_or_insert(since);
    }

    /// The name is given back, and ours will pause before they take it again, if they have had it for long enough.
    pub(super) fn get_a_turn(&mut self, now: Tick) {
        let Some(since) = self.ours_since else { return };
        let pause = now.since(since) / if self.believed > 0 { KNOWN - 1 } else { UNKNOWN };
        if pause >= SHORTEST {
            *self = Self {
                believed: self.believed.saturating_sub(1),
                ours_since: None,
                pause: Some(pause.min(LONGEST)),
            };
        }
    }

    /// How long ours wait with the name free.
    pub(super) fn take_pause(&mut self) -> Option<Duration> {
        self.pause.take()
    }
}
