//! The name of the table, as SQL.

use std::fmt;

/// The longest identifier, in characters.
const MAX_CHARS: usize = 64;

/// A table, in a database of its own or in the connection's.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Table {
    database: Option<String>,
    name: String,
}

impl Table {
    /// `None`: that is no identifier.
    pub(crate) fn new(database: Option<&str>, name: &str) -> Option<Self> {
        (is_identifier(name) && database.is_none_or(is_identifier))
            .then(|| Self { database: database.map(str::to_owned), name: name.to_owned() })
    }

    /// Its database, quoted.
    pub(crate) fn database(&self) -> Option<String> {
        self.database.as_deref().map(quoted)
    }
}

/// As SQL has it: quoted, with its database if it has one.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(database) = self.database() {
            write!(f, "{database}.")?;
        }
        f.write_str(&quoted(&self.name))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What can be one when it is quoted: no space at the end, nothing beyond the basic plane, nothing that ends a line.
fn is_identifier(name: &str) -> bool {
    (1..=MAX_CHARS).contains(&name.chars().count())
        && !name.ends_with(' ')
        && !name.chars().any(|c| c.is_control() || c > '\u{ffff}')
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn identifiers_are_quoted() {
        let table = Table::new(Some("My `own`"), "lo;cks").unwrap();
        assert_eq!(table.to_string(), "`My ``own```.`lo;cks`");
        assert_eq!(Table::new(None, "golock").unwrap().to_string(), "`golock`");
    }

    #[test]
    fn what_the_server_would_refuse_is_no_identifier() {
        for name in ["", "a\0b", "a\nb", "a ", "🔒", &"x".repeat(65)] {
            assert_eq!(Table::new(None, name), None, "{name:?}");
            assert_eq!(Table::new(Some(name), "golock"), None, "{name:?}");
        }
        assert!(Table::new(None, &"é".repeat(64)).is_some());
    }
}
