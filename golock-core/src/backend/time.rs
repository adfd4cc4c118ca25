//! Times, as databases keep them.

use std::time::Duration;

/// Whole microseconds, no less than asked for; a hundred years at most, which the dates of every database have room for.
pub fn micros(time: Duration) -> i64 {
    const MOST: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(MOST).min(MOST)
}

/// So many microseconds, and nothing less than nothing: a server's clock goes on while it answers, and may be set back.
pub fn from_micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{from_micros, micros};

    #[test]
    fn times_are_rounded_up_and_kept_in_range() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_millis(10)), 10_000);
        assert_eq!(micros(Duration::MAX), 3_153_600_000_000_000);
        assert_eq!(from_micros(-1), Duration::ZERO);
        assert_eq!(from_micros(1_500), Duration::from_micros(1_500));
    }
}
