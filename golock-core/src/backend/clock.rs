//! A server's clock, as far as it is known here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::micros;

/// By how much the rates of two clocks may differ: 1 ‰, which is more than clocks drift and than NTP slews them.
const DRIFT: u32 = 1_000;

/// A server's clock, as far as answers have told it.
///
/// A server executes whatever it finds in a connection's buffer, however long ago that was sent: by a client that has long given up,
/// before the server was stopped and continued, before the network came back. Where nothing else prevents it, each acquire carries the
/// time, by the server's own clock, after which it does nothing.
///
/// It decides over nothing else. A wrong guess refuses a request that could have been served (the answer then tells the
/// time, and the request is repeated), or lets one pass that is late, as all would be without it.
#[derive(Debug, Default)]
pub struct ServerClock {
    known: Mutex<Option<Reading>>,
}

/// At some moment between these two the server's clock showed this, in µs since 1970.
#[derive(Clone, Copy, Debug)]
struct Reading {
    asked: Instant,
    answered: Instant,
    shown: i64,
}

impl ServerClock {
    /// What the server's clock surely shows once `within` has passed since `now`. `None`: it is not known well enough, it has to be
    /// read again.
    ///
    /// It may show it earlier by what the reading leaves open: at most by half of `within`.
    pub fn deadline(&self, now: Instant, within: Duration) -> Option<i64> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = known.as_ref().filter(|reading| reading.left_open(now) <= within / 2)?;
        Some(reading.at_least(now).saturating_add(micros(within)))
    }

    /// The server's clock was read, in µs since 1970, between these two moments: keeps what tells more.
    pub fn read(&self, asked: Instant, answered: Instant, shown: i64) {
        let reading = Reading { asked, answered, shown };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_better = known.as_ref().is_none_or(|known| {
            known.contradicts(&reading) || reading.left_open(answered) <= known.left_open(answered)
        });
        if is_better {
            *known = Some(reading);
        }
    }

    /// What is known of it has proved wrong.
    pub fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Reading {
    /// How far from the truth it may be at `now`: it may stand for either end, and the clocks have drifted since.
    fn left_open(&self, now: Instant) -> Duration {
        (self.answered - self.asked) + now.saturating_duration_since(self.answered) / DRIFT
    }

    /// What the server's clock shows at `now` if all this time was spent before the reading.
    fn at_least(&self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(self.answered);
        self.shown.saturating_add(micros(since - since / DRIFT))
    }

    fn at_most(&self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(self.asked);
        self.shown.saturating_add(micros(since + since / DRIFT))
    }

    /// The server's clock was set, or it is another server's.
    fn contradicts(&self, later: &Self) -> bool {
        later.shown < self.at_least(later.asked) || later.shown > self.at_most(later.answered)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::ServerClock;

    const SHOWN: i64 = 1_790_000_000_000_000;
    const WITHIN: Duration = Duration::from_secs(5);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nothing_is_known_before_the_first_reading_or_after_it_proved_wrong() {
        let (clock, asked) = (ServerClock::default(), Instant::now());
        assert_eq!(clock.deadline(asked, WITHIN), None);
        clock.read(asked, asked + MS, SHOWN);
        clock.forget();
        assert_eq!(clock.deadline(asked + MS, WITHIN), None);
    }

    #[test]
    fn deadlines_are_never_late() {
        let (clock, asked) = (ServerClock::default(), Instant::now());
        clock.read(asked, asked + 2 * MS, SHOWN);
        // If the server read its clock when it was asked, it is 2 ms ahead of this by now.
        assert_eq!(clock.deadline(asked + 2 * MS, WITHIN), Some(SHOWN + 5_000_000));
        let later = clock.deadline(asked + 1_002 * MS, WITHIN).unwrap();
        assert!((SHOWN + 5_999_000..=SHOWN + 6_000_000).contains(&later), "{later}");
    }

    #[test]
    fn old_readings_are_not_relied_on() {
        let (clock, asked) = (ServerClock::default(), Instant::now());
        clock.read(asked, asked + MS, SHOWN);
        assert!(clock.deadline(asked + Duration::from_secs(2_000), WITHIN).is_some());
        assert_eq!(clock.deadline(asked + Duration::from_secs(3_000), WITHIN), None);
    }

    #[test]
    fn slow_answers_do_not_replace_fast_ones() {
        let (clock, asked) = (ServerClock::default(), Instant::now());
        clock.read(asked, asked + 4_000 * MS, SHOWN + 3_999_000);
        assert_eq!(clock.deadline(asked + 4_000 * MS, WITHIN), None, "too slow to be relied on");
        clock.read(asked + 4_000 * MS, asked + 4_001 * MS, SHOWN + 4_000_000);
        let deadline = clock.deadline(asked + 4_001 * MS, WITHIN);
        assert_eq!(deadline, Some(SHOWN + 9_000_000));
        clock.read(asked + 4_001 * MS, asked + 4_901 * MS, SHOWN + 4_002_000);
        let deadline = clock.deadline(asked + 4_901 * MS, WITHIN).unwrap();
        assert!(deadline > SHOWN + 9_890_000, "{deadline}");
    }

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        for step in [-3_600_000_000, 3_600_000_000] {
            let (clock, asked) = (ServerClock::default(), Instant::now());
            clock.read(asked, asked + MS, SHOWN);
            clock.read(asked + 10 * MS, asked + 50 * MS, SHOWN + 20_000 + step);
            assert_eq!(clock.deadline(asked + 50 * MS, WITHIN), Some(SHOWN + 5_020_000 + step));
        }
    }
}
