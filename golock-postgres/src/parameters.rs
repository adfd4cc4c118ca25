//! Values as the statements take them.

use std::time::Duration;

/// Whole microseconds, no less than asked for; a thousand years at most, which a timestamp has room for.
pub(crate) fn micros(time: Duration) -> i64 {
    const MOST: i64 = 1_000 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(MOST).min(MOST)
}

/// The first bytes that come after every name with this prefix. No byte of UTF-8 is 255.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    match prefix.split_last() {
        Some((last, head)) => [head, &[last.saturating_add(1)]].concat(),
        None => vec![255],
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{after_prefix, micros};

    #[test]
    fn times_are_rounded_up_and_kept_in_range() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_millis(10)), 10_000);
        assert_eq!(micros(Duration::MAX), 31_536_000_000_000_000);
    }

    #[test]
    fn a_prefix_ends_before_the_next_byte() {
        assert_eq!(after_prefix(b"a%"), b"a&");
        assert!("\u{10ffff}".as_bytes() < &*after_prefix(b""));
    }
}
