//! The name of the table, as SQL and as the channel that tells of freed names.

use std::fmt;

/// The longest identifier: PostgreSQL would cut a longer one off, without an error.
const MAX_BYTES: usize = 63;

/// A table, in a schema of its own or wherever the connection's `search_path` finds it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Table {
    schema: Option<String>,
    name: String,
}

impl Table {
    /// `None`: that is no identifier.
    pub(crate) fn new(schema: Option<&str>, name: &str) -> Option<Self> {
        // A line that ends in a name would end the comments of the schema that an administrator runs.
        let is_identifier =
            |name: &str| (1..=MAX_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
        (is_identifier(name) && schema.is_none_or(is_identifier))
            .then(|| Self { schema: schema.map(str::to_owned), name: name.to_owned() })
    }

    /// Its schema, quoted.
    pub(crate) fn schema(&self) -> Option<String> {
        self.schema.as_deref().map(quoted)
    }

    /// The channel that its releases notify. Tables of the same name in two schemas share it: their listeners are
    /// woken in vain, no more.
    pub(crate) fn channel(&self) -> &str {
        &self.name
    }
}

/// As SQL has it: quoted, with its schema if it has one.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = self.schema() {
            write!(f, "{schema}.")?;
        }
        f.write_str(&quoted(&self.name))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `name` as a quoted identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a quoted string. Our sessions, and everybody's by default, have `standard_conforming_strings` on: a backslash
/// is only that.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn identifiers_are_quoted() {
        let table = Table::new(Some("My \"own\""), "lo;cks").unwrap();
        assert_eq!(table.to_string(), "\"My \"\"own\"\"\".\"lo;cks\"");
        assert_eq!(Table::new(None, "golock").unwrap().to_string(), "\"golock\"");
    }

    #[test]
    fn what_the_server_would_cut_off_is_no_identifier() {
        assert_eq!(Table::new(None, ""), None);
        assert_eq!(Table::new(None, "a\0b"), None);
        assert_eq!(Table::new(None, &"x".repeat(64)), None);
        assert_eq!(Table::new(Some(&"x".repeat(64)), "golock"), None);
        assert!(Table::new(None, &"x".repeat(63)).is_some());
    }
}
