//! How the text of a statement is made: templates, and values as literals.

use std::time::Duration;

/// The comments are for those who read the files.
pub(crate) fn without_comments(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// `template` with each `{name}` that `values` has replaced by its value. What was put in is not looked at again.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(2 * template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let found = values
            .iter()
            .find_map(|(name, value)| Some((*value, after.strip_prefix(name)?.strip_prefix('}')?)));
        rest = match found {
            Some((value, after)) => {
                filled.push_str(value);
                after
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Bytes, as a literal that no setting of the session makes into anything else.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    format!("X'{}'", hex(bytes))
}

pub(crate) fn text(text: &str) -> String {
    format!("_utf8mb4 {}", bytes(text.as_bytes()))
}

/// Whole microseconds, no less than asked for; a hundred years at most, which a DATETIME has room for.
pub(crate) fn micros(time: Duration) -> i64 {
    const MOST: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(MOST).min(MOST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{fill, micros};

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        assert_eq!(fill("{a}{b} {c}", &[("a", "{b}"), ("b", "x")]), "{b}x {c}");
    }

    #[test]
    fn times_are_rounded_up_and_kept_in_range() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_millis(10)), 10_000);
        assert_eq!(micros(Duration::MAX), 3_153_600_000_000_000);
    }
}
