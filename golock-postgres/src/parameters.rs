//! Values as the statements take them.

use std::time::Duration;

/// Whole microseconds, no less than asked for; a thousand years at most, which a timestamp has room for.
pub(crate) fn micros(time: Duration) -> i64 {
    const MOST: i64 = 1_000 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(MOST).min(MOST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::micros;

    #[test]
    fn times_are_rounded_up_and_kept_in_range() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_millis(10)), 10_000);
        assert_eq!(micros(Duration::MAX), 31_536_000_000_000_000);
    }
}
