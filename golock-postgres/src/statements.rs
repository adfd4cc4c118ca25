//! The statements, read from `sql/` and made out for one table.

use golock_core::backend::{Table, fill, without_comments};

use crate::table::literal;

/// What is sent, made once per store.
pub(crate) struct Statements {
    pub(crate) acquire: Sizes,
    /// Leaves out rows that other transactions have locked.
    pub(crate) renew: Sizes,
    /// Waits for them, briefly.
    pub(crate) renew_patiently: Sizes,
    /// Leaves out rows that other transactions have locked.
    pub(crate) release: Sizes,
    /// Waits for them, briefly.
    pub(crate) release_patiently: Sizes,
    pub(crate) hand_over: String,
    pub(crate) mark_waiting: Sizes,
    pub(crate) fence: String,
    pub(crate) list: String,
    pub(crate) purge: String,
    /// Creates the table.
    pub(crate) create: String,
    /// The same for people to read and run.
    pub(crate) schema: String,
}

/// One statement for a single request, for which everything is found by the primary key, and one for many.
pub(crate) struct Sizes {
    pub(crate) one: String,
    pub(crate) many: String,
}

impl Sizes {
    pub(crate) fn of(&self, requests: usize) -> &str {
        if requests == 1 { &self.one } else { &self.many }
    }
}

const SKIP_LOCKED: &str = "SKIP LOCKED";
const WAIT: &str = "";

/// How long one waits for a row that another transaction has locked, and how long many do: in ms. Longer than a commit
/// takes, and short enough for whoever comes next: the engine makes a call of many that fails again, in parts.
const PATIENCE: [u32; 2] = [200, 100];

impl Statements {
    pub(crate) fn new(table: &Table) -> Self {
        let (name, channel) = (table.to_string(), literal(table.name()));
        let filled = |sql: &str, want: &str, skip_locked: &str| {
            let more =
                [("table", &*name), ("channel", &channel), ("want", want), ("skip_locked", skip_locked)];
            fill(&without_comments(sql), &more)
        };
        let made = |sql: &str| filled(sql, "", "");
        let sized = |sql: &str, columns: &[(&str, &str)], [one, many]: [&str; 2]| Sizes {
            one: filled(sql, &want_one(columns), one),
            many: filled(sql, &want_many(columns, ""), many),
        };
        let patient = |sql: &str, columns: &[(&str, &str)]| {
            let [one, many] = PATIENCE.map(|patience| {
                // Set before the first row is locked, and until the end of the statement.
                let set = format!(", set_config('lock_timeout', '{patience}', true) AS patience");
                filled(sql, &want_many(columns, &set), WAIT)
            });
            Sizes { one, many }
        };

        let acquire = [("name", "bytea"), ("grant_id", "bytea"), ("lock_by", "bytea"), ("lease", "bigint")];
        let renew = [("name", "bytea"), ("grant_id", "bytea"), ("token", "bigint"), ("lease", "bigint")];
        let release = [("name", "bytea"), ("grant_id", "bytea"), ("at_least", "bigint")];
        let mark = [("name", "bytea"), ("standing", "bigint")];
        let schema = creation(table);
        Self {
            acquire: sized(include_str!("sql/acquire.sql"), &acquire, [WAIT, SKIP_LOCKED]),
            renew: sized(include_str!("sql/renew.sql"), &renew, [SKIP_LOCKED, SKIP_LOCKED]),
            renew_patiently: patient(include_str!("sql/renew.sql"), &renew),
            release: sized(include_str!("sql/release.sql"), &release, [SKIP_LOCKED, SKIP_LOCKED]),
            release_patiently: patient(include_str!("sql/release.sql"), &release),
            hand_over: made(include_str!("sql/hand_over.sql")),
            mark_waiting: sized(include_str!("sql/mark_waiting.sql"), &mark, [WAIT, WAIT]),
            fence: made(include_str!("sql/fence.sql")),
            list: made(include_str!("sql/list.sql")),
            purge: made(include_str!("sql/purge.sql")),
            create: without_comments(&schema),
            schema,
        }
    }
}

/// The text that creates the table, for people.
fn creation(table: &Table) -> String {
    let name = table.to_string();
    let in_text = literal(&name);
    let in_text = &in_text[1..in_text.len() - 1];
    let (create_schema, usage) = match table.schema().map(|schema| table.quoted(schema)) {
        Some(schema) => (
            format!("CREATE SCHEMA IF NOT EXISTS {schema};\n\n"),
            format!("-- GRANT USAGE ON SCHEMA {schema} TO the_service;\n"),
        ),
        None => Default::default(),
    };
    let values = [("table", &*name), ("table_in_text", in_text), ("usage", &*usage)];
    create_schema + &fill(include_str!("sql/schema.sql"), &values)
}

/// One request: its columns as they are, so that the planner sees a single row.
fn want_one(columns: &[(&str, &str)]) -> String {
    let columns: Vec<String> =
        (1..).zip(columns).map(|(at, (name, kind))| format!("(${at}::{kind}[])[1] AS {name}")).collect();
    format!("NOT MATERIALIZED (SELECT {}, 1::bigint AS nr)", columns.join(", "))
}

/// Any number of requests: an array a column.
fn want_many(columns: &[(&str, &str)], besides: &str) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let arrays: Vec<String> = (1..).zip(columns).map(|(at, (_, kind))| format!("${at}::{kind}[]")).collect();
    format!(
        "MATERIALIZED (SELECT w.*{besides} FROM unnest({}) WITH ORDINALITY AS w ({}, nr))",
        arrays.join(", "),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::Statements;
    use crate::table;

    #[test]
    fn nothing_is_left_to_fill_in() {
        let Statements {
            acquire,
            renew,
            renew_patiently,
            release,
            release_patiently,
            hand_over,
            mark_waiting,
            fence,
            list,
            purge,
            create,
            schema,
        } = Statements::new(&table::named(Some("a"), "it's").unwrap());
        let sized = [acquire, renew, renew_patiently, release, release_patiently, mark_waiting]
            .into_iter()
            .flat_map(|sizes| [sizes.one, sizes.many]);
        for sql in sized.chain([hand_over, fence, list, purge, create, schema]) {
            assert!(!sql.contains(['{', '}']), "{sql}");
            assert!(sql.contains("\"a\".\"it's\""), "{sql}");
        }
    }

    #[test]
    fn nothing_is_filled_into_a_name() {
        for name in ["{want}", "{skip_locked}", "{channel}", "{table}", "{table_in_text}"] {
            let Statements { acquire, renew, release, create, .. } =
                Statements::new(&table::named(None, name).unwrap());
            for sql in [acquire.one, acquire.many, renew.one, release.many, create] {
                assert!(sql.contains(&format!("\"{name}\"")), "{sql}");
            }
        }
    }

    #[test]
    fn the_schema_of_the_table_is_created_too() {
        let schema = Statements::new(&table::named(Some("ops"), "golock").unwrap()).schema;
        assert!(schema.starts_with("CREATE SCHEMA IF NOT EXISTS \"ops\";"), "{schema}");
        assert!(schema.contains("-- GRANT USAGE ON SCHEMA \"ops\" TO the_service;"), "{schema}");
    }
}
