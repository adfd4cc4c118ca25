//! What a database administrator may run.

/// For `mongosh`.
pub(crate) fn text(database: &str, collection: &str) -> String {
    let database = quoted(database);
    let named = |part: &str| part.replace("{database}", &database);
    // Nothing is filled into a name, which may look like something to fill in, too.
    let parts: Vec<String> = include_str!("schema.js").split("{collection}").map(named).collect();
    parts.join(&quoted(collection))
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
        let text = super::text("{collection}", "{database}");
        assert!(text.contains(r#"db: "{collection}", collection: "{database}""#), "{text}");
    }
}
