//! Which locks: those of a URL, in a table that is named or in the default one.

/// Where locks are. The URL may contain a password, so it is never shown.
pub(crate) struct Site {
    pub(crate) url: String,
    /// The table, collection or prefix of keys; `None`: the backend's default.
    pub(crate) table: Option<String>,
    /// It is the file of this user's own, whose directory golock makes.
    #[allow(dead_code, reason = "which backends use it depends on the features")]
    pub(crate) is_own: bool,
}

impl Site {
    /// The whole name, for backends in which a dot is part of it.
    pub(crate) fn table_or<'a>(&'a self, default: &'a str) -> &'a str {
        self.table.as_deref().unwrap_or(default)
    }

    /// The name, split at its first dot into a schema (or database), if it has one, and a table.
    #[allow(dead_code, reason = "which backends use it depends on the features")]
    pub(crate) fn schema_and_table_or<'a>(&'a self, default: &'a str) -> (Option<&'a str>, &'a str) {
        let name = self.table_or(default);
        match name.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Site;

    #[test]
    fn the_first_dot_ends_the_schema() {
        let site =
            |name: Option<&str>| Site { url: String::new(), table: name.map(str::to_owned), is_own: false };
        for (name, parts) in [
            (None, (None, "golock")),
            (Some("locks"), (None, "locks")),
            (Some("ops.locks"), (Some("ops"), "locks")),
            (Some("ops.my.locks"), (Some("ops"), "my.locks")),
            (Some(".locks"), (Some(""), "locks")),
        ] {
            assert_eq!(site(name).schema_and_table_or("golock"), parts, "{name:?}");
        }
        assert_eq!(site(Some("ops.locks")).table_or("golock"), "ops.locks");
    }
}
