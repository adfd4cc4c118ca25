//! The statements, read from `sql/` and made out for one table, and then for each request.
//!
//! They are sent as text, so that several travel together: what decides, and what tells the outcome, in one round trip,
//! with nothing to prepare. All that comes from a caller is written in hexadecimal or as a number.

use std::time::Duration;

use golock_core::LockName;
use golock_core::store::{AcquireRequest, HandOverRequest, ListRequest, ReleaseRequest, RenewRequest};

use crate::table::Table;

/// What a row tells, in the order in which [`answers`](crate::answers) reads it.
const COLUMNS: &str = "name, grant_id, released_grant, lock_by, token, \
    TIMESTAMPDIFF(MICROSECOND, locked_at, UTC_TIMESTAMP(6)), TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), expires_at)";

/// The server's time in µs since 1970, when the statement began.
const NOW_US: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";

/// The requests of a batch as a table.
const WANT: &str = "JSON_TABLE('{requests}', '$[*]' COLUMNS (nr FOR ORDINALITY, name VARCHAR(510) PATH '$[0]', \
    grant_id CHAR(32) PATH '$[1]', token BIGINT PATH '$[2]', lease BIGINT PATH '$[3]')) AS want";

/// A transaction that failed, and is sent again, must not be committed by the beginning of the next.
const BEGIN: &str = "ROLLBACK; START TRANSACTION;";
const COMMIT: &str = "COMMIT;";

/// How many replies there are to the beginning of a transaction.
pub(crate) const BEFORE: usize = 2;

/// What becomes of a row that another transaction has locked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locked {
    Skip,
    Wait,
}

/// How a lease is taken from its holder.
#[derive(Clone, Copy)]
pub(crate) enum Ends {
    AsItWould,
    Now,
}

/// What is sent, but for what a request says.
pub(crate) struct Statements {
    table: String,
    acquire: String,
    renew: String,
    release: String,
    fence: String,
    list: String,
    purge: String,
    /// Creates the table.
    pub(crate) create: String,
    /// The same for people to read and run.
    pub(crate) schema: String,
}

impl Statements {
    pub(crate) fn new(table: &Table) -> Self {
        let create = fill(include_str!("sql/schema.sql"), &[("table", &table.to_string())]);
        Self {
            table: table.to_string(),
            acquire: without_comments(include_str!("sql/acquire.sql")),
            renew: without_comments(include_str!("sql/renew.sql")).replace("{want}", WANT),
            release: without_comments(include_str!("sql/release.sql")),
            fence: without_comments(include_str!("sql/fence.sql")),
            list: without_comments(include_str!("sql/list.sql")),
            purge: without_comments(include_str!("sql/purge.sql")),
            schema: schema(table, &create),
            create: without_comments(&create),
        }
    }

    /// Two statements, of which the second has the answer.
    pub(crate) fn acquire(&self, request: &AcquireRequest) -> String {
        self.acquire_if("TRUE", request)
    }

    /// A transaction of a release, and an acquire that does nothing unless that has released.
    pub(crate) fn hand_over(&self, request: &HandOverRequest) -> String {
        // An undo of the next grant may have been faster.
        let released = format!("IF(released_grant <=> {}, 5, 1)", bytes(request.next.grant.as_bytes()));
        let release = self.release_saying(&released, &request.release);
        transaction([release, self.acquire_if("LAST_INSERT_ID() = 1", &request.next)].into_iter())
    }

    fn acquire_if(&self, condition: &str, request: &AcquireRequest) -> String {
        self.made(
            &self.acquire,
            &[
                ("condition", condition),
                ("name", &bytes(request.name.as_bytes())),
                ("grant", &bytes(request.grant.as_bytes())),
                ("lock_by", &text(request.lock_by.as_str())),
                ("lease", &micros(request.lease).to_string()),
            ],
        )
    }

    /// Three statements for all requests, of which the last has the answers.
    pub(crate) fn renew(&self, requests: &[RenewRequest], locked: Locked) -> String {
        let requests: Vec<String> = requests
            .iter()
            .map(|request| {
                let (name, grant) = (hex(request.name.as_bytes()), hex(request.grant.as_bytes()));
                format!(r#"["{name}","{grant}",{},{}]"#, request.token.get(), micros(request.lease))
            })
            .collect();
        let requests = format!("[{}]", requests.join(","));
        let skip_locked = if locked == Locked::Skip { "SKIP LOCKED" } else { "" };
        self.made(&self.renew, &[("requests", &requests), ("skip_locked", skip_locked)])
    }

    /// One statement.
    pub(crate) fn release(&self, request: &ReleaseRequest) -> String {
        self.release_saying("1", request)
    }

    fn release_saying(&self, released: &str, request: &ReleaseRequest) -> String {
        self.made(
            &self.release,
            &[
                ("released", released),
                ("name", &bytes(request.name.as_bytes())),
                ("grant", &bytes(request.grant.as_bytes())),
                ("at_least", &micros(request.lock_at_least).to_string()),
            ],
        )
    }

    pub(crate) fn fence(&self, name: &LockName, ends: Ends) -> String {
        let ends = match ends {
            Ends::AsItWould => "expires_at",
            Ends::Now => "UTC_TIMESTAMP(6)",
        };
        self.made(&self.fence, &[("name", &bytes(name.as_bytes())), ("ends", ends)])
    }

    pub(crate) fn inspect(&self, name: &LockName) -> String {
        // No name lies between a name and the same name with a NUL at its end.
        let next = [name.as_bytes(), &[0]].concat();
        self.page(name.as_bytes(), &[], &next, 1)
    }

    pub(crate) fn list(&self, request: &ListRequest) -> String {
        let after = request.after.as_ref().map_or(&[][..], LockName::as_bytes);
        self.page(request.prefix.as_bytes(), after, &after_prefix(request.prefix.as_bytes()), request.limit)
    }

    pub(crate) fn purge(&self, idle_for: Duration, page: u64) -> String {
        self.made(&self.purge, &[("idle", &micros(idle_for).to_string()), ("page", &page.to_string())])
    }

    fn page(&self, from: &[u8], after: &[u8], to: &[u8], limit: usize) -> String {
        let (from, after, to) = (bytes(from), bytes(after), bytes(to));
        self.made(
            &self.list,
            &[("from", &from), ("after", &after), ("to", &to), ("limit", &limit.to_string())],
        )
    }

    /// A statement for this table, with what a request says.
    fn made(&self, sql: &str, request: &[(&str, &str)]) -> String {
        fill(sql, &[request, &[("table", &self.table), ("columns", COLUMNS), ("now_us", NOW_US)]].concat())
    }
}

/// The text that creates the table, for people.
fn schema(table: &Table, create: &str) -> String {
    let create = create.trim_end();
    let database = table
        .database()
        .map_or_else(String::new, |database| format!("CREATE DATABASE IF NOT EXISTS {database};\n\n"));
    format!(
        "{database}{create}\n\n-- The service's own user needs no more than this:\n\
         -- GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO 'the_service'@'%';\n"
    )
}

/// What a new session is told.
pub(crate) fn session_settings(lock_wait: Duration, request_timeout: Duration) -> String {
    let timeout_ms = request_timeout.as_millis().to_string();
    let timeout_s = format!("{:.3}", request_timeout.as_secs_f64());
    fill(
        &without_comments(include_str!("sql/session.sql")),
        &[
            ("lock_wait", &lock_wait.as_secs().max(1).to_string()),
            ("timeout_ms", &timeout_ms),
            ("timeout_s", &timeout_s),
        ],
    )
}

/// The comments are for those who read the files.
fn without_comments(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Statements that take effect together or not at all, and wait for the disk once. [`BEFORE`] replies come before theirs, and
/// one after.
fn transaction(statements: impl Iterator<Item = String>) -> String {
    let mut text = BEGIN.to_owned();
    statements.for_each(|statement| text.extend([" ", &statement]));
    text.extend([" ", COMMIT]);
    text
}

pub(crate) fn is_transaction(text: &str) -> bool {
    text.starts_with(BEGIN)
}

/// `template` with each `{name}` that `values` has replaced by its value. What was put in is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(2 * template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let found = values
            .iter()
            .find_map(|(name, value)| Some((*value, after.strip_prefix(name)?.strip_prefix('}')?)));
        rest = match found {
            Some((value, after)) => {
                filled.push_str(value);
                after
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Bytes, as a literal that no setting of the session makes into anything else.
fn bytes(bytes: &[u8]) -> String {
    format!("X'{}'", hex(bytes))
}

fn text(text: &str) -> String {
    format!("_utf8mb4 {}", bytes(text.as_bytes()))
}

/// Whole microseconds, no less than asked for; a hundred years at most, which a DATETIME has room for.
fn micros(time: Duration) -> i64 {
    const MOST: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(MOST).min(MOST)
}

/// The first bytes that come after every name with this prefix.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    // No byte of UTF-8 is 255.
    match prefix.split_last() {
        Some((last, head)) => [head, &[last.saturating_add(1)]].concat(),
        None => vec![255],
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use golock_core::store::{AcquireRequest, HandOverRequest, ListRequest, ReleaseRequest, RenewRequest};
    use golock_core::{FencingToken, GrantId, Label, LockName};

    use super::{Ends, Locked, Statements, after_prefix, fill, micros, session_settings};
    use crate::table::Table;

    #[test]
    fn nothing_is_left_to_fill_in_and_nothing_of_a_caller_is_sql() {
        let statements = Statements::new(&Table::new(Some("a"), "it's {name}").unwrap());
        let name = LockName::new("'; DROP TABLE golock; -- {grant}").unwrap();
        let (grant, label) = (GrantId::from_bytes([7; 16]), Label::new("\\'{lease}").unwrap());
        let lease = Duration::from_secs(15);
        let acquire = AcquireRequest::new(name.clone(), grant, label, lease);
        let renew = RenewRequest::new(name.clone(), grant, FencingToken::new(1), lease);
        let release = ReleaseRequest::new(name.clone(), grant, lease);
        for sql in [
            statements.acquire(&acquire),
            statements.renew(&[renew.clone(), renew.clone()], Locked::Skip),
            statements.renew(&[renew], Locked::Wait),
            statements.release(&release),
            statements.hand_over(&HandOverRequest::new(release, acquire)),
            statements.fence(&name, Ends::AsItWould),
            statements.fence(&name, Ends::Now),
            statements.inspect(&name),
            statements.list(&ListRequest::new("DROP", 1).after(name.clone())),
            statements.purge(lease, 1),
            statements.create,
            statements.schema,
        ] {
            assert!(sql.contains("`a`.`it's {name}`"), "{sql}");
            assert!(!sql.replace("`it's {name}`", "").contains(['{', '}']), "{sql}");
            assert!(!sql.contains("DROP"), "{sql}");
        }
    }

    #[test]
    fn waits_for_locks_are_bounded_in_whole_seconds() {
        let settings = session_settings(Duration::from_millis(2_900), Duration::from_millis(5_500));
        assert!(settings.contains(" lock_wait_timeout        = 2,"), "{settings}");
        assert!(settings.contains("innodb_lock_wait_timeout = 2 "), "{settings}");
        assert!(settings.contains("max_execution_time = 5500 "), "{settings}");
        assert!(settings.contains("max_statement_time = 5.500 "), "{settings}");
        assert!(!settings.contains(['{', '}']), "{settings}");
        assert!(session_settings(Duration::ZERO, Duration::ZERO).contains("innodb_lock_wait_timeout = 1 "));
    }

    #[test]
    fn the_database_of_the_table_is_created_too() {
        let schema = Statements::new(&Table::new(Some("ops"), "golock").unwrap()).schema;
        assert!(schema.starts_with("CREATE DATABASE IF NOT EXISTS `ops`;"), "{schema}");
        assert!(schema.contains("ON `ops`.`golock` TO"), "{schema}");
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        assert_eq!(fill("{a}{b} {c}", &[("a", "{b}"), ("b", "x")]), "{b}x {c}");
    }

    #[test]
    fn times_are_rounded_up_and_kept_in_range() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_millis(10)), 10_000);
        assert_eq!(micros(Duration::MAX), 3_153_600_000_000_000);
    }

    #[test]
    fn a_prefix_ends_before_the_next_byte() {
        assert_eq!(after_prefix(b""), [255]);
        assert_eq!(after_prefix(b"a%"), b"a&");
    }
}
