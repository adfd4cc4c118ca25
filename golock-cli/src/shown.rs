//! How locks are shown: to people, and as JSON.

use std::time::Duration;

use golock_core::store::LockInfo;
use serde_json::{Value, json};

/// A lock, with times in milliseconds.
pub(crate) fn as_json(lock: &LockInfo) -> Value {
    json!({
        "name": lock.name.as_str(),
        "held": true,
        "lock_by": lock.lock_by.as_str(),
        "held_for_ms": milliseconds(lock.held_for),
        "remaining_ms": milliseconds(lock.remaining),
        "token": lock.token.get(),
        "released": lock.released,
    })
}

/// A lock, in a line.
pub(crate) fn in_full(lock: &LockInfo) -> String {
    format!(
        "{} is held by {} for {}, {} remaining{}, token {}",
        printable(lock.name.as_str()),
        printable(lock.lock_by.as_str()),
        time(lock.held_for),
        time(lock.remaining),
        if lock.released { " (released or revoked)" } else { "" },
        lock.token
    )
}

/// Locks, a line each under a heading; no line break at the end.
pub(crate) fn table(locks: &[LockInfo]) -> String {
    let heading = ["NAME", "HOLDER", "HELD FOR", "REMAINING", "TOKEN", ""].map(str::to_owned);
    let rows = locks.iter().map(|lock| {
        [
            printable(lock.name.as_str()),
            printable(lock.lock_by.as_str()),
            time(lock.held_for),
            time(lock.remaining),
            lock.token.to_string(),
            if lock.released { "released" } else { "" }.to_owned(),
        ]
    });
    aligned(&[heading].into_iter().chain(rows).collect::<Vec<_>>())
}

/// A name, or another's words, as a terminal may have them: whatever would move the cursor, end the line or turn its direction
/// is escaped.
pub(crate) fn printable(words: &str) -> String {
    let is_plain = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    words.chars().map(|c| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// To the second, or to a tenth below ten: `1h 2m 3s`, `9.5s`.
pub(crate) fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        // Rounded down: what remains is never more than this.
        format!("{}.{}s", duration.as_secs(), duration.subsec_millis() / 100)
    } else {
        humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Columns as wide as their widest cell.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_not_play_with_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}é"), "a\\u{1b}[2Jb\\nc\\u{202e}é");
        assert_eq!(printable("\u{9b}2J\u{61c}\u{2028}"), "\\u{9b}2J\\u{61c}\\u{2028}");
    }

    #[test]
    fn times_are_rounded_down() {
        assert_eq!(time(Duration::from_millis(9_999)), "9.9s");
        assert_eq!(time(Duration::from_millis(3_723_900)), "1h 2m 3s");
    }

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let rows = [["a", "bb"], ["ccc", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "a    bb\nccc");
    }
}
