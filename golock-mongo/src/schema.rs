//! What a database administrator may run.

use golock_core::backend::fill;

/// For `mongosh`.
pub(crate) fn text(database: &str, collection: &str) -> String {
    let (database, collection) = (quoted(database), quoted(collection));
    fill(include_str!("schema.js"), &[("database", &database), ("collection", &collection)])
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
