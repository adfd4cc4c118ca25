//! What a database administrator may run.

/// For `mongosh`.
pub(crate) fn text(database: &str, collection: &str) -> String {
    include_str!("schema.js")
        .replace("{database}", &quoted(database))
        .replace("{collection}", &quoted(collection))
}

/// As a string of JavaScript.
fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn names_are_quoted() {
        let text = text("my", "lo\"cks");
        assert!(text.contains(r#"db.getSiblingDB("my").createCollection("lo\"cks""#), "{text}");
    }
}
