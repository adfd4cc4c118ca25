//! The statements, read from `sql/`, made out for one table, and run.

use golock_core::backend::{Record, Table, fill, from_micros, micros};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, ListRequest, LockInfo, ReleaseAnswer, ReleaseRequest, RenewAnswer,
    RenewRequest,
};
use golock_core::{FencingToken, LockName};
use rusqlite::{Connection, OptionalExtension, named_params};
use std::time::Duration;

use crate::answers::{found, listed};

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

    /// Who holds the name, if it is another: then there is nothing to write. It locks nothing.
    pub(crate) fn refusal(
        &self,
        connection: &Connection,
        request: &AcquireRequest,
    ) -> rusqlite::Result<Option<AcquireAnswer>> {
        let found = self.look(connection, &request.name)?;
        let answer = Record::acquired(found.as_ref(), request.grant);
        Ok(matches!(answer, AcquireAnswer::Held(_)).then_some(answer))
    }

    pub(crate) fn acquire(
        &self,
        connection: &Connection,
        request: &AcquireRequest,
    ) -> rusqlite::Result<AcquireAnswer> {
        let mut statement = connection.prepare_cached(&self.acquire)?;
        let values = named_params! {
            ":name": request.name.as_bytes(),
            ":grant_id": request.grant.as_bytes(),
            ":lock_by": request.lock_by.as_str(),
            ":lease": micros(request.lease),
        };
        let granted = statement
            .query_row(values, |row| {
                Ok(AcquireAnswer::granted(FencingToken::new(row.get(0)?), from_micros(row.get(1)?)))
            })
            .optional()?;
        match granted {
            Some(granted) => Ok(granted),
            None => Ok(self.refusal(connection, request)?.unwrap_or(AcquireAnswer::Raced)),
        }
    }

    pub(crate) fn renew(
        &self,
        connection: &Connection,
        request: &RenewRequest,
    ) -> rusqlite::Result<RenewAnswer> {
        let mut statement = connection.prepare_cached(&self.renew)?;
        let values = named_params! {
            ":name": request.name.as_bytes(),
            ":grant_id": request.grant.as_bytes(),
            ":token": request.token.get(),
            ":lease": micros(request.lease),
        };
        let remaining = statement.query_row(values, |row| row.get::<_, i64>(0)).optional()?;
        if let Some(remaining) = remaining {
            return Ok(RenewAnswer::renewed(from_micros(remaining)));
        }
        Ok(Record::renewed(self.look(connection, &request.name)?.as_ref(), request.grant, request.token))
    }

    pub(crate) fn release(
        &self,
        connection: &Connection,
        request: &ReleaseRequest,
    ) -> rusqlite::Result<ReleaseAnswer> {
        // Nobody else writes between this and the statement.
        let answer = Record::released(self.look(connection, &request.name)?.as_ref(), request.grant);
        if answer != ReleaseAnswer::AlreadyReleased {
            let mut statement = connection.prepare_cached(&self.release)?;
            statement.execute(named_params! {
                ":name": request.name.as_bytes(),
                ":grant_id": request.grant.as_bytes(),
                ":at_least": micros(request.lock_at_least),
            })?;
        }
        Ok(answer)
    }

    pub(crate) fn fence(
        &self,
        connection: &Connection,
        name: &LockName,
        at_once: bool,
    ) -> rusqlite::Result<Option<FencingToken>> {
        let mut statement = connection.prepare_cached(&self.fence)?;
        let values = named_params! { ":name": name.as_bytes(), ":ends_now": at_once };
        statement.query_row(values, |row| row.get(0).map(FencingToken::new)).optional()
    }

    pub(crate) fn inspect(
        &self,
        connection: &Connection,
        name: &LockName,
    ) -> rusqlite::Result<Option<LockInfo>> {
        Ok(self.look(connection, name)?.and_then(|found| found.info(name.clone())))
    }

    pub(crate) fn list(
        &self,
        connection: &Connection,
        request: &ListRequest,
    ) -> rusqlite::Result<Vec<LockInfo>> {
        let mut statement = connection.prepare_cached(&self.list)?;
        let found = statement.query_map(
            named_params! {
                ":from": request.prefix.as_bytes(),
                ":before": request.after_prefix(),
                ":after": request.after.as_ref().map_or(&[][..], LockName::as_bytes),
                ":limit": i64::try_from(request.limit).unwrap_or(i64::MAX),
            },
            listed,
        )?;
        found.filter_map(Result::transpose).collect()
    }

    /// Looks at one page of names after `after`, and deletes those that are idle: how many, and where the next page starts. A page is
    /// what is looked at, so that the write lock is not held for long, however few of a large table are to be deleted.
    pub(crate) fn purge(
        &self,
        connection: &Connection,
        idle_for: Duration,
        after: &[u8],
        page: i64,
    ) -> rusqlite::Result<(u64, Option<Vec<u8>>)> {
        let mut statement = connection.prepare_cached(&self.page)?;
        let last = statement
            .query_row(named_params! { ":after": after, ":page": page }, |row| row.get::<_, Vec<u8>>(0))
            .optional()?;
        let mut statement = connection.prepare_cached(&self.purge)?;
        let deleted =
            statement.execute(named_params! { ":after": after, ":last": last, ":idle": micros(idle_for) })?;
        Ok((deleted as u64, last))
    }

    fn look(&self, connection: &Connection, name: &LockName) -> rusqlite::Result<Option<Record>> {
        let mut statement = connection.prepare_cached(&self.look)?;
        statement.query_row(named_params! { ":name": name.as_bytes() }, found).optional()
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
