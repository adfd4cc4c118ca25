//! The statements, read from `sql/` and made out for one table.

use golock_core::backend::{Table, fill, without_comments};

use crate::table::literal;

/// What is sent, made once per store.
pub(crate) struct Statements {
    pub(crate) acquire: String,
    /// What stands before, between and behind the requests, which it has more than once.
    renew: Vec<String>,
    pub(crate) release: String,
    pub(crate) fence: String,
    pub(crate) list: String,
    pub(crate) purge: String,
    /// Creates the table.
    pub(crate) create: String,
    /// The same for people to read and run.
    pub(crate) schema: String,
}

/// How many parameters a request to renew has.
const RENEWAL: usize = 5;

impl Statements {
    pub(crate) fn new(table: &Table) -> Self {
        let name = table.to_string();
        let named = |sql: &str| fill(sql, &[("table", &name)]);
        let made = |sql: &str| named(&without_comments(sql));
        let renew = without_comments(include_str!("sql/renew.sql"));
        let schema = creation(table);
        Self {
            acquire: made(include_str!("sql/acquire.sql")),
            renew: renew.split("{want}").map(named).collect(),
            release: made(include_str!("sql/release.sql")),
            fence: made(include_str!("sql/fence.sql")),
            list: made(include_str!("sql/list.sql")),
            purge: made(include_str!("sql/purge.sql")),
            create: without_comments(&schema),
            schema,
        }
    }

    /// The statement that renews so many leases: per lease the name, grant, token, seconds and µs.
    pub(crate) fn renew(&self, requests: usize) -> String {
        let row = |nr: usize| {
            let parameters: Vec<String> =
                (1..=RENEWAL).map(|at| format!("@P{}", nr * RENEWAL + at)).collect();
            format!("({nr}, {})", parameters.join(", "))
        };
        let rows: Vec<String> = (0..requests).map(row).collect();
        self.renew.join(&rows.join(", "))
    }
}

/// What a new session is told.
pub(crate) fn session(lock_timeout_ms: i32) -> String {
    let settings = without_comments(include_str!("sql/session.sql"));
    fill(&settings, &[("lock_timeout", &lock_timeout_ms.to_string())])
}

/// The text that creates the table. `CREATE SCHEMA` has to be a batch of its own, so it is a text within the text.
fn creation(table: &Table) -> String {
    let schema = table.schema().unwrap_or_default();
    let create_schema = literal(&format!("CREATE SCHEMA {}", table.quoted(schema)));
    fill(
        include_str!("sql/schema.sql"),
        &[
            ("table", &table.to_string()),
            ("schema_in_text", &literal(schema)),
            ("create_schema_in_text", &create_schema),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::{Statements, session};
    use crate::table;

    #[test]
    fn nothing_is_left_to_fill_in() {
        let statements = Statements::new(&table::named("a", "it's").unwrap());
        let renew = statements.renew(2);
        let Statements { acquire, release, fence, list, purge, create, schema, .. } = statements;
        for sql in [acquire, renew, release, fence, list, purge, create, schema] {
            assert!(!sql.contains(['{', '}']), "{sql}");
            assert!(sql.contains("[a].[it's]"), "{sql}");
        }
        assert!(!session(5).contains(['{', '}']));
    }

    #[test]
    fn each_renewal_has_parameters_of_its_own() {
        let sql = Statements::new(&table::named("dbo", "golock").unwrap()).renew(2);
        assert!(
            sql.contains("(VALUES (0, @P1, @P2, @P3, @P4, @P5), (1, @P6, @P7, @P8, @P9, @P10)) AS w"),
            "{sql}"
        );
    }

    #[test]
    fn nothing_is_filled_into_a_name() {
        for name in ["{want}", "{table}", "{schema_in_text}", "{create_schema_in_text}"] {
            let statements = Statements::new(&table::named(name, name).unwrap());
            for sql in [statements.renew(1), statements.acquire, statements.create] {
                assert!(sql.contains(&format!("[{name}].[{name}]")), "{sql}");
            }
        }
    }

    #[test]
    fn the_schema_of_the_table_is_created_too() {
        let schema = Statements::new(&table::named("it's", "golock").unwrap()).schema;
        assert!(
            schema.contains("IF SCHEMA_ID(N'it''s') IS NULL\n    EXEC (N'CREATE SCHEMA [it''s]');"),
            "{schema}"
        );
    }
}
