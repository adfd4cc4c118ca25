//! What can be a table of MySQL or MariaDB.

use golock_core::backend::Table;

/// The longest identifier, in characters.
const MAX_CHARS: usize = 64;

/// `None`: that is no identifier.
pub(crate) fn named(database: Option<&str>, name: &str) -> Option<Table> {
    Table::new(database, name, ['`', '`'], is_identifier)
}

/// What can be one when it is quoted: no space at the end, nothing beyond the basic plane, nothing that ends a line.
fn is_identifier(name: &str) -> bool {
    (1..=MAX_CHARS).contains(&name.chars().count())
        && !name.ends_with(' ')
        && !name.chars().any(|c| c.is_control() || c > '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn identifiers_are_quoted() {
        let table = named(Some("My `own`"), "lo;cks").unwrap();
        assert_eq!(table.to_string(), "`My ``own```.`lo;cks`");
        assert_eq!(named(None, "golock").unwrap().to_string(), "`golock`");
    }

    #[test]
    fn what_the_server_would_refuse_is_no_identifier() {
        for name in ["", "a\0b", "a\nb", "a ", "🔒", &"x".repeat(65)] {
            assert_eq!(named(None, name), None, "{name:?}");
            assert_eq!(named(Some(name), "golock"), None, "{name:?}");
        }
        assert!(named(None, &"é".repeat(64)).is_some());
    }
}
