//! The statements, read from `sql/`, made out for one table, and run.

use std::time::Duration;

use golock_core::backend::{Record, Table, fill, micros};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, ListRequest, LockInfo, ReleaseAnswer, ReleaseRequest, RenewAnswer,
    RenewRequest,
};
use golock_core::{FencingToken, LockName};
use rusqlite::{Connection, OptionalExtension, Params, Row, named_params};

use crate::answers::{found, granted, listed, renewed};

/// How many names a purge looks at in one transaction.
const PURGE_PAGE: i64 = 1_000;

/// What is run, made once per store.
pub(crate) struct Statements {
    acquire: String,
    renew: String,
    release: String,
    fence: String,
    look: String,
    list: String,
    page: String,
    purge: String,
    /// Creates the table; also for people to read and run.
    pub(crate) schema: String,
}

impl Statements {
    pub(crate) fn new(table: &Table) -> Self {
        let table = table.to_string();
        let made = |sql: &str| fill(sql, &[("table", &table)]);
        Self {
            acquire: made(include_str!("sql/acquire.sql")),
            renew: made(include_str!("sql/renew.sql")),
            release: made(include_str!("sql/release.sql")),
            fence: made(include_str!("sql/fence.sql")),
            look: made(include_str!("sql/look.sql")),
            list: made(include_str!("sql/list.sql")),
            page: made(include_str!("sql/page.sql")),
            purge: made(include_str!("sql/purge.sql")),
            schema: made(include_str!("sql/schema.sql")),
        }
    }
}

/// The rows of the table, on one connection.
pub(crate) struct Rows<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) statements: &'a Statements,
}

impl Rows<'_> {
    /// Who holds the name, if it is another: then there is nothing to write. It locks nothing.
    pub(crate) fn refusal(&self, request: &AcquireRequest) -> rusqlite::Result<Option<AcquireAnswer>> {
        let answer = Record::acquired(self.look(&request.name)?.as_ref(), request.grant);
        Ok(matches!(answer, AcquireAnswer::Held(_)).then_some(answer))
    }

    pub(crate) fn acquire(&self, request: &AcquireRequest) -> rusqlite::Result<AcquireAnswer> {
        let values = named_params! {
            ":name": request.name.as_bytes(),
            ":grant_id": request.grant.as_bytes(),
            ":lock_by": request.lock_by.as_str(),
            ":lease": micros(request.lease),
        };
        match self.one(&self.statements.acquire, values, granted)? {
            Some(granted) => Ok(granted),
            None => Ok(self.refusal(request)?.unwrap_or(AcquireAnswer::Raced)),
        }
    }

    pub(crate) fn renew(&self, request: &RenewRequest) -> rusqlite::Result<RenewAnswer> {
        let values = named_params! {
            ":name": request.name.as_bytes(),
            ":grant_id": request.grant.as_bytes(),
            ":token": request.token.get(),
            ":lease": micros(request.lease),
        };
        match self.one(&self.statements.renew, values, renewed)? {
            Some(renewed) => Ok(renewed),
            None => Ok(Record::renewed(self.look(&request.name)?.as_ref(), request.grant, request.token)),
        }
    }

    pub(crate) fn release(&self, request: &ReleaseRequest) -> rusqlite::Result<ReleaseAnswer> {
        // Nobody else writes between this and the statement.
        let answer = Record::released(self.look(&request.name)?.as_ref(), request.grant);
        if answer != ReleaseAnswer::AlreadyReleased {
            let values = named_params! {
                ":name": request.name.as_bytes(),
                ":grant_id": request.grant.as_bytes(),
                ":at_least": micros(request.lock_at_least),
            };
            self.connection.prepare_cached(&self.statements.release)?.execute(values)?;
        }
        Ok(answer)
    }

    pub(crate) fn fence(&self, name: &LockName, at_once: bool) -> rusqlite::Result<Option<FencingToken>> {
        let values = named_params! { ":name": name.as_bytes(), ":ends_now": at_once };
        self.one(&self.statements.fence, values, |row| row.get(0).map(FencingToken::new))
    }

    pub(crate) fn inspect(&self, name: &LockName) -> rusqlite::Result<Option<LockInfo>> {
        Ok(self.look(name)?.and_then(|found| found.info(name.clone())))
    }

    pub(crate) fn list(&self, request: &ListRequest) -> rusqlite::Result<Vec<LockInfo>> {
        let values = named_params! {
            ":from": request.prefix.as_bytes(),
            ":before": request.after_prefix(),
            ":after": request.after.as_ref().map_or(&[][..], LockName::as_bytes),
            ":limit": i64::try_from(request.limit).unwrap_or(i64::MAX),
        };
        let mut statement = self.connection.prepare_cached(&self.statements.list)?;
        statement.query_map(values, listed)?.filter_map(Result::transpose).collect()
    }

    /// Looks at one page of names after `after`, and deletes those that are idle: how many, and where the next page starts. A page is
    /// what is looked at, so that the write lock is not held for long, however few of a large table are to be deleted.
    pub(crate) fn purge(&self, idle_for: Duration, after: &[u8]) -> rusqlite::Result<(u64, Option<Vec<u8>>)> {
        let page = named_params! { ":after": after, ":page": PURGE_PAGE };
        let last = self.one(&self.statements.page, page, |row| row.get::<_, Vec<u8>>(0))?;
        let values = named_params! { ":after": after, ":last": last, ":idle": micros(idle_for) };
        let deleted = self.connection.prepare_cached(&self.statements.purge)?.execute(values)?;
        Ok((deleted as u64, last))
    }

    fn look(&self, name: &LockName) -> rusqlite::Result<Option<Record>> {
        self.one(&self.statements.look, named_params! { ":name": name.as_bytes() }, found)
    }

    /// What is read from the row that comes back, if one does.
    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.connection.prepare_cached(sql)?.query_row(values, read).optional()
    }
}

#[cfg(test)]
mod tests {
    use super::Statements;
    use crate::table;

    #[test]
    fn nothing_is_left_to_fill_in() {
        let Statements { acquire, renew, release, fence, look, list, page, purge, schema } =
            Statements::new(&table::named("it's").unwrap());
        for sql in [acquire, renew, release, fence, look, list, page, purge, schema] {
            assert!(!sql.contains(['{', '}']), "{sql}");
            assert!(sql.contains("\"it's\""), "{sql}");
        }
    }
}
