//! The name of a table, as SQL.

use std::fmt;

/// A table, in a schema (or database) that it names or wherever a session finds it. It is shown as SQL has it: quoted.
#[derive(Clone, PartialEq, Eq)]
pub struct Table {
    schema: Option<String>,
    name: String,
    quotes: [char; 2],
}

impl Table {
    /// `None`: one of the names is none by `is_identifier`. `quotes` stand before and behind an identifier; within one the second
    /// is doubled.
    ///
    /// ```
    /// use golock_core::backend::Table;
    ///
    /// let table = Table::new(Some("ops"), "my \"locks\"", ['"', '"'], |name| !name.is_empty());
    /// assert_eq!(table.map(|table| table.to_string()).as_deref(), Some("\"ops\".\"my \"\"locks\"\"\""));
    /// ```
    pub fn new(
        schema: Option<&str>,
        name: &str,
        quotes: [char; 2],
        is_identifier: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        (is_identifier(name) && schema.is_none_or(&is_identifier)).then(|| Self {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
            quotes,
        })
    }

    /// Its schema, as it is called.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Its name, as it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An identifier, quoted as the table's own.
    pub fn quoted(&self, identifier: &str) -> String {
        let [before, behind] = self.quotes;
        format!("{before}{}{behind}", identifier.replace(behind, &format!("{behind}{behind}")))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", self.quoted(schema))?;
        }
        f.write_str(&self.quoted(&self.name))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
