//! The store: each operation is one statement (a batch of T-SQL), in one round trip on an open session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use golock_core::backend::{Creation, Table, connected_within, each_by_itself, micros, page_by_page};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, ListRequest, LockInfo, LockStore, Operation, ReleaseAnswer,
    ReleaseRequest, RenewAnswer, RenewRequest, StoreError,
};
use golock_core::{FencingToken, LockName, async_trait};
use tiberius::{Config, Row, ToSql};

use crate::answers::{column, listed, renewed, told, unreadable, verdict};
use crate::builder::MssqlStoreBuilder;
use crate::error::{BACKEND, is_collision, is_table_missing};
use crate::key::{key, range};
use crate::session::Lane;
use crate::statements::Statements;
use crate::table;

/// The most requests in one call. Each has five parameters in a renewal, of which SQL Server takes 2,100; and each number
/// of requests is a text of its own, of which it keeps the plan.
const MAX_BATCH: usize = 64;

/// How many sessions renewals may use, and releases at least: if one hangs, the next call has another.
const KEEPING_SESSIONS: usize = 2;

/// How many names a purge looks at in one statement: fewer rows than SQL Server locks before it locks the whole table.
const PURGE_PAGE: i64 = 1_000;

/// Locks in a table of Microsoft SQL Server.
///
/// A [`Locker`](golock_core::Locker) is what locks; this is what it is built on. The crate's page says what is
/// promised, what it costs, and on which servers it was run.
pub struct MssqlStore {
    table: Table,
    statements: Statements,
    creation: Creation,
    request_timeout: Duration,
    acquiring: Lane,
    renewing: Lane,
    releasing: Lane,
}

impl MssqlStore {
    /// A store over the table `dbo.golock`, with connections of its own, opened by `config`. No connection is opened
    /// yet: see [`MssqlStoreBuilder::build`].
    pub fn new(config: Config) -> Self {
        let options = Self::builder();
        match table::named(&options.schema, &options.table) {
            Some(table) => Self::over(&config, &table, &options),
            None => unreachable!("the default table has a name that SQL Server can have"),
        }
    }

    /// A store over the table `dbo.golock` of the server at `url`: see [`MssqlStoreBuilder::connect`].
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened; the table may have been created.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Sets up a store: table, schema, timeout.
    pub fn builder() -> MssqlStoreBuilder {
        MssqlStoreBuilder::new()
    }

    /// Opens a session and creates the table, if that is not done yet: so that what is wrong is told at once. The
    /// first call of a lock does the same. If all sessions are in use, it waits for one. It takes four times the request
    /// timeout at most.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the session to the first call; the table may have been created.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let looked = self.held(Operation::Connect, &[], &[], 0);
        let why = "no answer within four times the request timeout";
        connected_within(self.request_timeout.saturating_mul(4), BACKEND, why, looked).await.map(drop)
    }

    pub(crate) fn over(config: &Config, table: &Table, options: &MssqlStoreBuilder) -> Self {
        let timeout = options.request_timeout;
        let was_there = Arc::default();
        let lane = |sessions, lock_timeout| Lane::new(config, sessions, timeout, lock_timeout, &was_there);
        // An acquire and a release wait for locks in three places at most.
        let acquiring = lane(options.acquire_sessions, timeout / 4);
        let keeping = |sessions, lock_timeout| lane(sessions, lock_timeout).preferred_to(&acquiring);
        Self {
            table: table.clone(),
            statements: Statements::new(table),
            creation: Creation::new(options.create_table),
            request_timeout: timeout,
            // Each goes by itself: on as many as acquires have, so that a few locked rows don't hold up all others.
            releasing: keeping(options.acquire_sessions.max(KEEPING_SESSIONS), timeout / 4),
            // A batch may wait for row after row, until its session is closed for that; it fails as a whole, and is tried in
            // parts: soon.
            renewing: keeping(KEEPING_SESSIONS, timeout / 10),
            acquiring,
        }
    }

    /// Runs one statement; if the table is not there, creates it and runs it again.
    async fn query(
        &self,
        lane: &Lane,
        operation: Operation,
        sql: &str,
        parameters: &[&dyn ToSql],
    ) -> Result<Vec<Row>, StoreError> {
        let query = || lane.query(operation, sql, parameters);
        let create = || lane.execute(Operation::CreateSchema, &self.statements.create);
        self.creation.around(query, is_table_missing, create, is_collision).await
    }

    async fn fence(&self, operation: Operation, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let at_once = operation == Operation::ForceUnlock;
        let rows =
            self.query(&self.acquiring, operation, &self.statements.fence, &[&key(name), &at_once]).await?;
        rows.first().map_or(Ok(None), |row| verdict(operation, row)?.fenced())
    }

    /// Locks that are held, after the key `after` and before the key `before`.
    async fn held(
        &self,
        operation: Operation,
        after: &[u8],
        before: &[u8],
        limit: usize,
    ) -> Result<Vec<LockInfo>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows =
            self.query(&self.acquiring, operation, &self.statements.list, &[&after, &before, &limit]).await?;
        rows.iter().filter_map(|row| listed(operation, row).transpose()).collect()
    }
}

#[async_trait]
impl LockStore for MssqlStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(BACKEND, MAX_BATCH, self.request_timeout, false, i64::MAX)
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        each_by_itself(requests, |request| async move {
            let (name, (seconds, micros)) = (key(&request.name), parts(request.lease));
            let (grant, lock_by) = (request.grant.as_bytes().as_slice(), request.lock_by.as_str());
            let parameters: [&dyn ToSql; 5] = [&name, &grant, &lock_by, &seconds, &micros];
            let (doing, sql) = (Operation::Acquire, &self.statements.acquire);
            let rows = self.query(&self.acquiring, doing, sql, &parameters).await?;
            rows.first().map_or(Ok(AcquireAnswer::Raced), |row| verdict(doing, row)?.acquired())
        })
        .await
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        // All calls lock rows in the order of their names, so that none waits for another in a circle.
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&at| &requests[at].name);
        let requested: Vec<_> = order
            .iter()
            .map(|&at| {
                let RenewRequest { name, grant, token, lease, .. } = &requests[at];
                let (seconds, micros) = parts(*lease);
                (key(name), grant.as_bytes().as_slice(), token.get(), seconds, micros)
            })
            .collect();
        let parameters: Vec<&dyn ToSql> = requested
            .iter()
            .flat_map(|(name, grant, token, seconds, micros)| -> [&dyn ToSql; 5] {
                [name, grant, token, seconds, micros]
            })
            .collect();
        let sql = self.statements.renew(requests.len());
        let rows = self.query(&self.renewing, Operation::Renew, &sql, &parameters).await?;
        renewed(&order, &rows)
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        each_by_itself(requests, |request| async move {
            let (name, (seconds, micros)) = (key(&request.name), parts(request.lock_at_least));
            let parameters: [&dyn ToSql; 4] =
                [&name, &request.grant.as_bytes().as_slice(), &seconds, &micros];
            let (doing, sql) = (Operation::Release, &self.statements.release);
            let rows = self.query(&self.releasing, doing, sql, &parameters).await?;
            verdict(doing, rows.first().ok_or_else(|| unreadable(doing, "no answer"))?)?.released()
        })
        .await
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        // No key but the name's own lies between its bytes and the least key that continues it.
        let before = [&*key(name), &[1]].concat();
        let found = self.held(Operation::Inspect, name.as_bytes(), &before, 1).await?;
        Ok(found.into_iter().next())
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let Some((first, before)) = range(request) else { return Ok(Vec::new()) };
        let after = request.after.as_ref().map(key).unwrap_or_default().max(first);
        self.held(Operation::List, &after, &before, request.limit).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::Revoke, name).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::ForceUnlock, name).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let (doing, (seconds, micros)) = (Operation::Purge, parts(idle_for));
        let page = |after: Vec<u8>| async move {
            let parameters: [&dyn ToSql; 4] = [&seconds, &micros, &after, &PURGE_PAGE];
            let rows = self.query(&self.acquiring, doing, &self.statements.purge, &parameters).await?;
            let Some(row) = rows.first() else { return Ok((0, None)) };
            let deleted = u64::try_from(column::<i64>(doing, row, "deleted")?).unwrap_or(0);
            Ok((deleted, told(doing, row, "last")?.map(<[u8]>::to_vec)))
        };
        page_by_page(Vec::new(), page).await
    }

    fn schema(&self) -> String {
        self.statements.schema.clone()
    }
}

impl fmt::Debug for MssqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MssqlStore").field("table", &self.table).finish_non_exhaustive()
    }
}

/// Whole seconds and the microseconds besides, no less than asked for: `DATEADD` takes no more than an INT. Sixty years
/// at most.
fn parts(time: Duration) -> (i32, i32) {
    const SECOND: i64 = 1_000_000;
    const MOST: i32 = 60 * 365 * 24 * 60 * 60;
    let micros = micros(time);
    match (i32::try_from(micros / SECOND), i32::try_from(micros % SECOND)) {
        (Ok(seconds), Ok(micros)) if seconds < MOST => (seconds, micros),
        _ => (MOST, 0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parts;

    #[test]
    fn times_are_rounded_up_and_kept_in_range() {
        assert_eq!(parts(Duration::from_nanos(1)), (0, 1));
        assert_eq!(parts(Duration::from_millis(10)), (0, 10_000));
        assert_eq!(parts(Duration::new(1, 999_999_001)), (2, 0));
        assert_eq!(parts(Duration::from_secs(365 * 24 * 60 * 60)), (31_536_000, 0));
        assert_eq!(parts(Duration::MAX), (1_892_160_000, 0));
    }
}
