//! The statements, read from `sql/` and made out for one table, and then for each request.
//!
//! They are sent as text, so that several travel together: what decides, and what tells the outcome, in one round trip,
//! with nothing to prepare. All that comes from a caller is written in hexadecimal or as a number.

use std::time::Duration;

use golock_core::backend::{Table, fill, micros, without_comments};
use golock_core::store::{AcquireRequest, HandOverRequest, ListRequest, ReleaseRequest, RenewRequest};
use golock_core::{GrantId, LockName};

use crate::text::{bytes, hex, text};

/// What a row tells, in the order in which [`answers`](crate::answers) reads it; the last column is [`NOW_US`].
const COLUMNS: &str = "held.name, held.grant_id, held.released_grant, held.lock_by, held.token, \
    TIMESTAMPDIFF(MICROSECOND, held.locked_at, UTC_TIMESTAMP(6)), \
    TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), held.expires_at), \
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";

/// The server's time in µs since 1970, when the statement began.
const NOW_US: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";

/// The requests of a batch as a table: what all of them have, and `{more}`.
const WANT: &str = "JSON_TABLE(@golock_want, '$[*]' COLUMNS (nr FOR ORDINALITY, name VARCHAR(510) PATH '$[0]', \
    grant_id CHAR(32) PATH '$[1]', {more})) AS want";
const WANT_ACQUIRED: &str = "lock_by VARCHAR(510) PATH '$[2]', lease BIGINT PATH '$[3]'";
const WANT_RENEWED: &str = "token BIGINT PATH '$[2]', lease BIGINT PATH '$[3]'";
const WANT_RELEASED: &str = "at_least BIGINT PATH '$[2]'";

/// A transaction that failed, and is sent again, must not be committed by the beginning of the next.
const BEGIN: &str = "ROLLBACK; START TRANSACTION;";
const COMMIT: &str = "COMMIT;";

/// How many replies there are to the beginning of a transaction, and to its end.
pub(crate) const BEFORE: usize = 2;
pub(crate) const AFTER: usize = 1;

/// What becomes of a row that another transaction has locked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locked {
    Skip,
    Wait,
}

/// How many names a purge looks at in one step: each page is short then, however few of a large table are to be deleted.
const PURGE_PAGE: u64 = 10_000;

/// What is sent, but for what a request says.
pub(crate) struct Statements {
    table: String,
    acquire: String,
    acquire_many: String,
    renew: String,
    release: String,
    release_many: String,
    fence: String,
    list: String,
    page: String,
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
            acquire_many: of_many(include_str!("sql/acquire_many.sql"), WANT_ACQUIRED),
            renew: of_many(include_str!("sql/renew.sql"), WANT_RENEWED),
            release: without_comments(include_str!("sql/release.sql")),
            release_many: of_many(include_str!("sql/release_many.sql"), WANT_RELEASED),
            fence: without_comments(include_str!("sql/fence.sql")),
            list: without_comments(include_str!("sql/list.sql")),
            page: without_comments(include_str!("sql/page.sql")),
            purge: without_comments(include_str!("sql/purge.sql")),
            create: without_comments(&create),
            schema: create_database(table) + &create,
        }
    }

    /// Two statements, of which the second has the answer. After `deadline`, by the server's clock, the first does nothing.
    pub(crate) fn acquire(&self, request: &AcquireRequest, deadline: i64) -> String {
        self.acquire_if("TRUE", request, deadline)
    }

    /// A transaction for all requests, of which the last statement has the answers, in any order. After `patience` it waits for no
    /// further row, and after `deadline` it does nothing.
    pub(crate) fn acquire_many(
        &self,
        requests: &[AcquireRequest],
        patience: Duration,
        deadline: i64,
    ) -> String {
        let mut requests: Vec<&AcquireRequest> = requests.iter().collect();
        requests.sort_by(|one, other| one.name.cmp(&other.name));
        let requests = json(&requests, |request| {
            let lock_by = hex(request.lock_by.as_str().as_bytes());
            wanted(&request.name, &request.grant, &format!(r#""{lock_by}",{}"#, micros(request.lease)))
        });
        let (patience, deadline) = (micros(patience).to_string(), deadline.to_string());
        let filled = [("requests", &*requests), ("patience", &*patience), ("deadline", &*deadline)];
        transaction(&[self.made(&self.acquire_many, &filled)])
    }

    /// A transaction of a release, and an acquire that does nothing unless that has released, and not after `deadline`.
    pub(crate) fn hand_over(&self, request: &HandOverRequest, deadline: i64) -> String {
        // An undo of the next grant may have been faster.
        let released = format!("IF(released_grant <=> {}, 5, 1)", bytes(request.next.grant.as_bytes()));
        let release = self.release_saying(&released, &request.release);
        transaction(&[release, self.acquire_if("LAST_INSERT_ID() = 1", &request.next, deadline)])
    }

    fn acquire_if(&self, condition: &str, request: &AcquireRequest, deadline: i64) -> String {
        self.made(
            &self.acquire,
            &[
                ("condition", condition),
                ("deadline", &deadline.to_string()),
                ("name", &bytes(request.name.as_bytes())),
                ("grant", &bytes(request.grant.as_bytes())),
                ("lock_by", &text(request.lock_by.as_str())),
                ("lease", &micros(request.lease).to_string()),
            ],
        )
    }

    /// Three statements for all requests, of which the last has the answers.
    pub(crate) fn renew(&self, requests: &[RenewRequest], locked: Locked) -> String {
        let requests = json(requests, |request| {
            let (token, lease) = (request.token.get(), micros(request.lease));
            wanted(&request.name, &request.grant, &format!("{token},{lease}"))
        });
        let skip_locked = if locked == Locked::Skip { "SKIP LOCKED" } else { "" };
        self.made(&self.renew, &[("requests", &requests), ("skip_locked", skip_locked)])
    }

    /// One statement.
    pub(crate) fn release(&self, request: &ReleaseRequest) -> String {
        self.release_saying("1", request)
    }

    /// A transaction for all requests, of which the last statement has the outcomes.
    pub(crate) fn release_many(&self, requests: &[ReleaseRequest]) -> String {
        let requests = json(requests, |request| {
            wanted(&request.name, &request.grant, &micros(request.lock_at_least).to_string())
        });
        transaction(&[self.made(&self.release_many, &[("requests", &requests)])])
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

    /// Two statements, of which the second tells the time. `at_once`: the lease ends now, else when it would have. After `deadline` the
    /// first does nothing.
    pub(crate) fn fence(&self, name: &LockName, at_once: bool, deadline: i64) -> String {
        let ends = if at_once { "UTC_TIMESTAMP(6)" } else { "expires_at" };
        let (name, deadline) = (bytes(name.as_bytes()), deadline.to_string());
        let filled = [("name", &*name), ("ends", ends), ("deadline", &*deadline)];
        self.made(&self.fence, &filled) + " " + &clock()
    }

    pub(crate) fn inspect(&self, name: &LockName) -> String {
        // No name lies between a name and the same name with a NUL at its end.
        let next = [name.as_bytes(), &[0]].concat();
        self.page(name.as_bytes(), &[], &next, 1)
    }

    pub(crate) fn list(&self, request: &ListRequest) -> String {
        let after = request.after.as_ref().map_or(&[][..], LockName::as_bytes);
        self.page(request.prefix.as_bytes(), after, &request.after_prefix(), request.limit)
    }

    /// Which name is the last of a page of them after `after`.
    pub(crate) fn page_end(&self, after: &[u8]) -> String {
        self.made(&self.page, &[("after", &bytes(after)), ("more", &(PURGE_PAGE - 1).to_string())])
    }

    /// Of the names after `after`, up to `last`.
    pub(crate) fn purge(&self, idle_for: Duration, after: &[u8], last: &[u8]) -> String {
        let (idle, page) = (micros(idle_for).to_string(), PURGE_PAGE.to_string());
        let (after, last) = (bytes(after), bytes(last));
        self.made(&self.purge, &[("idle", &idle), ("after", &after), ("last", &last), ("page", &page)])
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

/// `more`: what these requests have that others have not.
fn of_many(sql: &str, more: &str) -> String {
    without_comments(sql).replace("{want}", &WANT.replace("{more}", more))
}

fn json<R>(requests: &[R], one: impl Fn(&R) -> String) -> String {
    format!("[{}]", requests.iter().map(one).collect::<Vec<_>>().join(","))
}

/// A request of many. Hexadecimal and numbers only, so there is nothing to escape.
fn wanted(name: &LockName, grant: &GrantId, more: &str) -> String {
    format!(r#"["{}","{}",{more}]"#, hex(name.as_bytes()), hex(grant.as_bytes()))
}

/// What the server's clock shows.
pub(crate) fn clock() -> String {
    format!("SELECT {NOW_US};")
}

/// What makes the database, if the table is in one of its own: for people only.
fn create_database(table: &Table) -> String {
    table.schema().map_or_else(String::new, |database| {
        format!("CREATE DATABASE IF NOT EXISTS {};\n\n", table.quoted(database))
    })
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

/// Statements that take effect together or not at all, and wait for the disk once. [`BEFORE`] replies come before theirs, and
/// [`AFTER`] after.
fn transaction(statements: &[String]) -> String {
    format!("{BEGIN} {} {COMMIT}", statements.join(" "))
}

pub(crate) fn is_transaction(text: &str) -> bool {
    text.starts_with(BEGIN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use golock_core::store::{AcquireRequest, HandOverRequest, ListRequest, ReleaseRequest, RenewRequest};
    use golock_core::{FencingToken, GrantId, Label, LockName};

    use super::{Locked, Statements, session_settings};
    use crate::table;

    #[test]
    fn nothing_is_left_to_fill_in_and_nothing_of_a_caller_is_sql() {
        let statements = Statements::new(&table::named(Some("a"), "it's {name}").unwrap());
        let name = LockName::new("'; DROP TABLE golock; -- {grant}").unwrap();
        let (grant, label) = (GrantId::from_bytes([7; 16]), Label::new("\\'{lease}").unwrap());
        let lease = Duration::from_secs(15);
        let acquire = AcquireRequest::new(name.clone(), grant, label, lease);
        let renew = RenewRequest::new(name.clone(), grant, FencingToken::new(1), lease);
        let release = ReleaseRequest::new(name.clone(), grant, lease);
        for sql in [
            statements.acquire(&acquire, 7),
            statements.acquire_many(&[acquire.clone(), acquire.clone()], lease, 7),
            statements.renew(&[renew.clone(), renew.clone()], Locked::Skip),
            statements.renew(&[renew], Locked::Wait),
            statements.page_end(b"{idle}"),
            statements.purge(lease, b"{idle}", b"'"),
            statements.release(&release),
            statements.release_many(&[release.clone(), release.clone()]),
            statements.hand_over(&HandOverRequest::new(release, acquire), 7),
            statements.fence(&name, false, 0),
            statements.fence(&name, true, 0),
            statements.inspect(&name),
            statements.list(&ListRequest::new("DROP", 1).after(name.clone())),
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
        assert!(settings.contains("\nlock_wait_timeout        = 2,"), "{settings}");
        assert!(settings.contains("innodb_lock_wait_timeout = 2\n"), "{settings}");
        assert!(settings.contains("max_execution_time = 5500 "), "{settings}");
        assert!(settings.contains("max_statement_time = 5.500 "), "{settings}");
        assert!(!settings.contains(['{', '}']), "{settings}");
        assert!(session_settings(Duration::ZERO, Duration::ZERO).contains("innodb_lock_wait_timeout = 1\n"));
    }

    #[test]
    fn the_database_of_the_table_is_created_too() {
        let schema = Statements::new(&table::named(Some("ops"), "golock").unwrap()).schema;
        assert!(schema.starts_with("CREATE DATABASE IF NOT EXISTS `ops`;"), "{schema}");
        assert!(schema.contains("ON `ops`.`golock` TO"), "{schema}");
    }
}
