//! The name of the table, as SQL.

use std::fmt;

/// The longest identifier, in units of UTF-16.
const MAX_UNITS: usize = 128;

/// A table and its schema.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Table {
    schema: String,
    name: String,
}

impl Table {
    /// `None`: that is no identifier.
    pub(crate) fn new(schema: &str, name: &str) -> Option<Self> {
        // A line that ends in a name would end the comments of the schema that an administrator runs.
        let is_identifier = |name: &str| {
            (1..=MAX_UNITS).contains(&name.encode_utf16().count()) && !name.chars().any(char::is_control)
        };
        (is_identifier(schema) && is_identifier(name))
            .then(|| Self { schema: schema.to_owned(), name: name.to_owned() })
    }

    /// Its schema, as it is called.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }
}

/// As SQL has it: quoted, with its schema.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `name` as a quoted identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// `text` as a quoted string.
pub(crate) fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn identifiers_are_quoted() {
        let table = Table::new("My [own]", "lo;cks").unwrap();
        assert_eq!(table.to_string(), "[My [own]]].[lo;cks]");
    }

    #[test]
    fn what_the_server_would_refuse_is_no_identifier() {
        assert_eq!(Table::new("dbo", ""), None);
        assert_eq!(Table::new("", "golock"), None);
        assert_eq!(Table::new("dbo", "a\0b"), None);
        assert_eq!(Table::new("dbo", "a\nb"), None);
        assert_eq!(Table::new("dbo", &"x".repeat(129)), None);
        assert_eq!(Table::new("dbo", &"😀".repeat(65)), None);
        assert!(Table::new("dbo", &"ä".repeat(128)).is_some());
    }
}
