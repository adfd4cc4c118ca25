//! What can be a table of PostgreSQL.

use golock_core::backend::Table;

/// The longest identifier: PostgreSQL would cut a longer one off, without an error.
const MAX_BYTES: usize = 63;

/// `None`: that is no identifier.
pub(crate) fn named(schema: Option<&str>, name: &str) -> Option<Table> {
    // A line that ends in a name would end the comments of the schema that an administrator runs.
    let is_identifier =
        |name: &str| (1..=MAX_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    Table::new(schema, name, ['"', '"'], is_identifier)
}

/// `text` as a quoted string. Our sessions, and everybody's by default, have `standard_conforming_strings` on: a backslash
/// is only that.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn identifiers_are_quoted() {
        let table = named(Some("My \"own\""), "lo;cks").unwrap();
        assert_eq!(table.to_string(), "\"My \"\"own\"\"\".\"lo;cks\"");
        assert_eq!(named(None, "golock").unwrap().to_string(), "\"golock\"");
    }

    #[test]
    fn what_the_server_would_cut_off_is_no_identifier() {
        assert_eq!(named(None, ""), None);
        assert_eq!(named(None, "a\0b"), None);
        assert_eq!(named(None, &"x".repeat(64)), None);
        assert_eq!(named(Some(&"x".repeat(64)), "golock"), None);
        assert!(named(None, &"x".repeat(63)).is_some());
    }
}
