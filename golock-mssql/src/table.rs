//! What can be a table of SQL Server.

use golock_core::backend::Table;

/// The longest identifier, in units of UTF-16.
const MAX_UNITS: usize = 128;

/// `None`: that is no identifier.
pub(crate) fn named(schema: &str, name: &str) -> Option<Table> {
    // A line that ends in a name would end the comments of the schema that an administrator runs.
    let is_identifier = |name: &str| {
        (1..=MAX_UNITS).contains(&name.encode_utf16().count()) && !name.chars().any(char::is_control)
    };
    Table::new(Some(schema), name, ['[', ']'], is_identifier)
}

/// `text` as a quoted string.
pub(crate) fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn identifiers_are_quoted() {
        let table = named("My [own]", "lo;cks").unwrap();
        assert_eq!(table.to_string(), "[My [own]]].[lo;cks]");
    }

    #[test]
    fn what_the_server_would_refuse_is_no_identifier() {
        assert_eq!(named("dbo", ""), None);
        assert_eq!(named("", "golock"), None);
        assert_eq!(named("dbo", "a\0b"), None);
        assert_eq!(named("dbo", "a\nb"), None);
        assert_eq!(named("dbo", &"x".repeat(129)), None);
        assert_eq!(named("dbo", &"😀".repeat(65)), None);
        assert!(named("dbo", &"ä".repeat(128)).is_some());
    }
}
