//! The name of the table, as SQL.

use std::fmt;

/// The longest name. SQLite has no limit of its own.
const MAX_BYTES: usize = 255;

/// What SQLite keeps for itself, in any case.
const RESERVED: &str = "sqlite_";

/// A table of the file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Table(String);

impl Table {
    /// `None`: that is no name for a table.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let is_reserved =
            name.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED));
        let is_name = (1..=MAX_BYTES).contains(&name.len()) && !name.contains('\0') && !is_reserved;
        is_name.then(|| Self(name.to_owned()))
    }
}

/// As SQL has it: quoted.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn names_are_quoted() {
        assert_eq!(Table::new("my \"lo;cks\"").unwrap().to_string(), "\"my \"\"lo;cks\"\"\"");
    }

    #[test]
    fn what_sqlite_would_not_take_is_no_name() {
        for name in ["", "a\0b", "sqlite_stat1", "SQLITE_x"] {
            assert_eq!(Table::new(name), None);
        }
        assert!(Table::new("sqliteé").is_some());
    }
}
