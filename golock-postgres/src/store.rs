//! The store: each operation is one statement, in one round trip on a warm session.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::Pool;
use golock_core::backend::{Creation, Table, connected_within, micros, page_by_page};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, ListRequest, LockInfo,
    LockStore, MarkRequest, Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, StoreError,
    Wakeups,
};
use golock_core::{FencingToken, LockName, async_trait};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::answers::{column, each, listed, verdict};
use crate::builder::PostgresStoreBuilder;
use crate::error::{BACKEND, is_collision, is_table_missing};
use crate::listener::Listener;
use crate::locked::answered;
use crate::session::Lane;
use crate::statements::Statements;
use crate::table;

/// The most requests in one statement: 10,000 leases of 30 s are renewed by less than two statements a second.
const MAX_BATCH: usize = 700;

/// How many sessions renewals, and as many releases, may use: if one hangs, the next call has another.
const KEEPING_SESSIONS: usize = 2;

/// How many names a purge looks at in one statement.
const PURGE_PAGE: i64 = 10_000;

/// Locks in a table of PostgreSQL.
///
/// A [`Locker`](golock_core::Locker) is what locks; this is what it is built on. The crate's page says what is
/// promised, and what it costs.
pub struct PostgresStore {
    table: Table,
    statements: Statements,
    creation: Creation,
    request_timeout: Duration,
    acquiring: Lane,
    renewing: Lane,
    releasing: Lane,
    /// `None`: nobody is told of freed names.
    listener: Option<Listener>,
}

impl PostgresStore {
    /// A store over the table `golock`, with sessions opened as `pool` opens its connections. No connection is
    /// opened yet, and none is taken from the pool: see [`PostgresStoreBuilder::build`].
    pub fn new(pool: Pool) -> Self {
        let options = Self::builder();
        match table::named(None, &options.table) {
            Some(table) => Self::over(&pool, &table, &options),
            None => unreachable!("the default table has a name that PostgreSQL can have"),
        }
    }

    /// A store over the table `golock` of the server at `url`: see [`PostgresStoreBuilder::connect`].
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
    pub fn builder() -> PostgresStoreBuilder {
        PostgresStoreBuilder::new()
    }

    /// Opens a session and creates the table, if that is not done yet: so that what is wrong is told at once. The
    /// first call of a lock does the same. If all sessions are in use, it waits for one. It takes four times the request timeout at
    /// most.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the session to the first call; the table may have been created.
    pub async fn ready(&self) -> Result<(), StoreError> {
        // Opening a session bounds itself; one that is open may lead to a server that answers no more.
        let looked = self.held(Operation::Connect, &[], &[], &[], 0);
        let why = "no answer within four times the request timeout";
        connected_within(self.request_timeout.saturating_mul(4), BACKEND, why, looked).await.map(drop)
    }

    pub(crate) fn over(pool: &Pool, table: &Table, options: &PostgresStoreBuilder) -> Self {
        let lane = |sessions| Lane::new(pool, sessions, options.request_timeout);
        let acquiring = lane(options.acquire_sessions);
        let keeping = || lane(KEEPING_SESSIONS).preferred_to(&acquiring);
        Self {
            table: table.clone(),
            statements: Statements::new(table),
            creation: Creation::new(options.create_table),
            request_timeout: options.request_timeout,
            renewing: keeping(),
            releasing: keeping(),
            acquiring,
            listener: None,
        }
    }

    pub(crate) fn woken_by(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// Runs one statement; if the table is not there, creates it and runs it again.
    async fn query(
        &self,
        lane: &Lane,
        operation: Operation,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let query = || lane.query(operation, sql, parameters);
        let create = || lane.execute(Operation::CreateSchema, &self.statements.create);
        self.creation.around(query, is_table_missing, create, is_collision).await
    }

    async fn fence(&self, operation: Operation, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let at_once = operation == Operation::ForceUnlock;
        let (sql, name) = (&self.statements.fence, name.as_bytes());
        let rows = self.query(&self.acquiring, operation, sql, &[&name, &at_once]).await?;
        rows.first().map_or(Ok(None), |row| verdict(operation, row)?.fenced())
    }

    /// Locks that are held, from `from` on, before `to`, after `after`.
    async fn held(
        &self,
        operation: Operation,
        from: &[u8],
        to: &[u8],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<LockInfo>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self
            .query(&self.acquiring, operation, &self.statements.list, &[&from, &to, &after, &limit])
            .await?;
        rows.iter().filter_map(|row| listed(operation, row).transpose()).collect()
    }
}

#[async_trait]
impl LockStore for PostgresStore {
    fn capabilities(&self) -> Capabilities {
        let pushes = self.listener.is_some();
        Capabilities::new(BACKEND, MAX_BATCH, self.request_timeout, pushes, i64::MAX)
            .in_batches()
            .handing_over()
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        let names: Vec<&[u8]> = requests.iter().map(|request| request.name.as_bytes()).collect();
        let grants: Vec<&[u8]> = requests.iter().map(|request| request.grant.as_bytes().as_slice()).collect();
        let labels: Vec<&[u8]> = requests.iter().map(|request| request.lock_by.as_str().as_bytes()).collect();
        let leases: Vec<i64> = requests.iter().map(|request| micros(request.lease)).collect();
        let sql = self.statements.acquire.of(requests.len());
        let rows = self
            .query(&self.acquiring, Operation::Acquire, sql, &[&names, &grants, &labels, &leases])
            .await?;
        each(Operation::Acquire, requests.len(), &rows, |verdict| verdict.acquired())
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let ask = async |sql: &str, requests: &[RenewRequest]| {
            let names: Vec<&[u8]> = requests.iter().map(|request| request.name.as_bytes()).collect();
            let grants: Vec<&[u8]> =
                requests.iter().map(|request| request.grant.as_bytes().as_slice()).collect();
            let tokens: Vec<i64> = requests.iter().map(|request| request.token.get()).collect();
            let leases: Vec<i64> = requests.iter().map(|request| micros(request.lease)).collect();
            let rows = self
                .query(&self.renewing, Operation::Renew, sql, &[&names, &grants, &tokens, &leases])
                .await?;
            each(Operation::Renew, requests.len(), &rows, |verdict| {
                verdict.unless_busy().map(|verdict| verdict.renewed()).transpose()
            })
        };
        let statements = [&self.statements.renew, &self.statements.renew_patiently];
        answered(Operation::Renew, requests, statements, ask).await
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        let ask = async |sql: &str, requests: &[ReleaseRequest]| {
            let names: Vec<&[u8]> = requests.iter().map(|request| request.name.as_bytes()).collect();
            let grants: Vec<&[u8]> =
                requests.iter().map(|request| request.grant.as_bytes().as_slice()).collect();
            let at_least: Vec<i64> = requests.iter().map(|request| micros(request.lock_at_least)).collect();
            let rows =
                self.query(&self.releasing, Operation::Release, sql, &[&names, &grants, &at_least]).await?;
            each(Operation::Release, requests.len(), &rows, |verdict| {
                verdict.unless_busy().map(|verdict| verdict.released()).transpose()
            })
        };
        let statements = [&self.statements.release, &self.statements.release_patiently];
        answered(Operation::Release, requests, statements, ask).await
    }

    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        let HandOverRequest { release, next, .. } = request;
        let rows = self
            .query(
                &self.releasing,
                Operation::HandOver,
                &self.statements.hand_over,
                &[
                    &release.name.as_bytes(),
                    &release.grant.as_bytes().as_slice(),
                    &micros(release.lock_at_least),
                    &next.grant.as_bytes().as_slice(),
                    &next.lock_by.as_str().as_bytes(),
                    &micros(next.lease),
                ],
            )
            .await?;
        if let Some(row) = rows.first() {
            return verdict(Operation::HandOver, row)?.handed_over();
        }
        let answers = self.release(std::slice::from_ref(release)).await?;
        let released = answers.first().copied().unwrap_or(ReleaseAnswer::AlreadyReleased);
        Ok(HandOverAnswer::new(released, AcquireAnswer::Raced))
    }

    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        let names: Vec<&[u8]> = requests.iter().map(|request| request.name.as_bytes()).collect();
        let standing: Vec<i64> = requests.iter().map(|request| micros(request.standing)).collect();
        let sql = self.statements.mark_waiting.of(requests.len());
        self.query(&self.acquiring, Operation::MarkWaiting, sql, &[&names, &standing]).await.map(drop)
    }

    fn wakeups(&self) -> Option<Wakeups> {
        self.listener.as_ref().map(Listener::listen)
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        // No name lies between a name and the same name with a NUL at its end.
        let next = [name.as_bytes(), &[0]].concat();
        let found = self.held(Operation::Inspect, name.as_bytes(), &next, &[], 1).await?;
        Ok(found.into_iter().next())
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let (prefix, after) =
            (request.prefix.as_bytes(), request.after.as_ref().map_or(&[][..], LockName::as_bytes));
        self.held(Operation::List, prefix, &request.after_prefix(), after, request.limit).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::Revoke, name).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::ForceUnlock, name).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let (doing, idle_for) = (Operation::Purge, micros(idle_for));
        let page = |after: Vec<u8>| async move {
            let parameters: [&(dyn ToSql + Sync); 3] = [&idle_for, &after, &PURGE_PAGE];
            let rows = self.query(&self.acquiring, doing, &self.statements.purge, &parameters).await?;
            let Some(row) = rows.first() else { return Ok((0, None)) };
            let deleted = u64::try_from(column::<i64>(doing, row, "deleted")?).unwrap_or(0);
            Ok((deleted, Some(column(doing, row, "last")?)))
        };
        page_by_page(Vec::new(), page).await
    }

    fn schema(&self) -> String {
        self.statements.schema.clone()
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.table).finish_non_exhaustive()
    }
}
