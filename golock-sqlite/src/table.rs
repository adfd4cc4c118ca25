//! What can be a table of SQLite.

use golock_core::backend::Table;

/// The longest name. SQLite has no limit of its own.
const MAX_BYTES: usize = 255;

/// What SQLite keeps for itself, in any case.
const RESERVED: &str = "sqlite_";

/// `None`: that is no name for a table.
pub(crate) fn named(name: &str) -> Option<Table> {
    let is_reserved =
        |name: &str| name.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED));
    // A line that ends in a name would end a comment of the schema, which the store runs too.
    let is_name = |name: &str| {
        (1..=MAX_BYTES).contains(&name.len()) && !name.chars().any(char::is_control) && !is_reserved(name)
    };
    Table::new(None, name, ['"', '"'], is_name)
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn names_are_quoted() {
        assert_eq!(named("my \"lo;cks\"").unwrap().to_string(), "\"my \"\"lo;cks\"\"\"");
    }

    #[test]
    fn what_sqlite_would_not_take_or_a_line_ends_in_is_no_name() {
        for name in ["", "a\0b", "a\nb", "sqlite_stat1", "SQLITE_x"] {
            assert_eq!(named(name), None);
        }
        assert!(named("sqliteé").is_some());
    }
}
