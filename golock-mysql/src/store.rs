//! The store: each operation is one text of a few statements, in one round trip.

use std::fmt;
use std::time::{Duration, Instant};

use golock_core::backend::{
    Creation, ServerClock, Table, ask_again, connected_within, in_order, page_by_page,
};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, ListRequest, LockInfo,
    LockStore, Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, StoreError,
    StoreErrorKind,
};
use golock_core::{FencingToken, LockName, async_trait};
use mysql_async::{Opts, Pool, Row};
use tokio::sync::Mutex;

use crate::answers::{Renewal, acquired, acquired_of_many, listed, released, released_of_many, renewed};
use crate::builder::MysqlStoreBuilder;
use crate::error::{BACKEND, failure, is_table_missing};
use crate::session::{Lane, Reply};
use crate::statements::{AFTER, BEFORE, Locked, Statements, clock};

/// The most requests in one call: 10,000 leases of 30 s are renewed by less than two statements a second.
const MAX_BATCH: usize = 700;

/// How many sessions renewals may use, and releases at least: if one hangs, the next call has another.
const KEEPING_SESSIONS: usize = 2;

/// How long renewals and releases wait for a row that another transaction has locked: they are tried again.
const KEEPING_LOCK_WAIT: Duration = Duration::from_secs(1);

/// Locks in a table of MySQL or MariaDB.
///
/// A [`Locker`](golock_core::Locker) is what locks; this is what it is built on. The crate's page says what is promised, and
/// what it costs.
pub struct MysqlStore {
    table: Table,
    statements: Statements,
    creation: Creation,
    request_timeout: Duration,
    acquiring: Lane,
    renewing: Lane,
    releasing: Lane,
    clock: ServerClock,
    /// Whose turn it is to renew a lease whose row another transaction has locked: one at a time, so that at most one session
    /// of `releasing` is taken up by that.
    patience: Mutex<()>,
}

impl MysqlStore {
    /// A store over the table `golock`, with connections of its own, opened as these options say: see
    /// [`MysqlStoreBuilder::build`].
    ///
    /// ```
    /// use golock_core::Locker;
    /// use golock_mysql::MysqlStore;
    /// use golock_mysql::mysql_async::{Opts, Pool};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let opts = Opts::from_url("mysql://app:secret@localhost/app")?;
    /// let pool = Pool::new(opts.clone()); // the application's own
    /// let locker = Locker::new(MysqlStore::new(opts)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the options name no database.
    pub fn new(opts: impl Into<Opts>) -> Result<Self, StoreError> {
        Self::builder().build(opts)
    }

    /// A store over the table `golock`, with connections of its own like those of `pool`: see
    /// [`MysqlStoreBuilder::build_like`].
    ///
    /// # Errors
    /// [`StoreError`], transient if the pool had no connection in time.
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection back.
    pub async fn like(pool: &Pool) -> Result<Self, StoreError> {
        Self::builder().build_like(pool).await
    }

    /// A store over the table `golock` of the server at `url`: see [`MysqlStoreBuilder::connect`].
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened; the table may have been created.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Sets up a store: table, database, timeout.
    pub fn builder() -> MysqlStoreBuilder {
        MysqlStoreBuilder::new()
    }

    /// Opens a session and creates the table, if that is not done yet: so that what is wrong is told at once. The first call of
    /// a lock does the same. If all sessions are in use, it waits for one. It takes four times the request timeout at most.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the session to the first call; the table may have been created.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let nothing = self.statements.list(&ListRequest::new("", 0)) + " " + &clock();
        // Opening a session bounds itself; one that is open may lead to a server that answers no more.
        let looked = self.call(&self.acquiring, Operation::Connect, &nothing);
        let why = "no answer within four times the request timeout";
        let replies = connected_within(self.request_timeout.saturating_mul(4), BACKEND, why, looked).await?;
        self.read_clock(&replies);
        Ok(())
    }

    pub(crate) fn over(opts: &Opts, table: &Table, options: &MysqlStoreBuilder) -> Self {
        let lane = |sessions, lock_wait| Lane::new(opts, sessions, lock_wait, options.request_timeout);
        let acquiring = lane(options.acquire_sessions, options.request_timeout / 2);
        let keeping = |sessions| lane(sessions, KEEPING_LOCK_WAIT).preferred_to(&acquiring);
        Self {
            table: table.clone(),
            statements: Statements::new(table),
            creation: Creation::new(options.create_table),
            request_timeout: options.request_timeout,
            renewing: keeping(KEEPING_SESSIONS),
            releasing: keeping(options.acquire_sessions.max(KEEPING_SESSIONS)),
            acquiring,
            clock: ServerClock::default(),
            patience: Mutex::new(()),
        }
    }

    /// Until when an acquire that is made now may begin on the server, by the server's clock. Given up, it may stay for long in a buffer
    /// on its way, where mysql_async gives no hold of the socket.
    async fn deadline(&self, lane: &Lane) -> Result<i64, StoreError> {
        let made = Instant::now();
        let known = || {
            let now = Instant::now();
            self.clock.deadline(now, self.request_timeout.saturating_sub(now - made))
        };
        if let Some(deadline) = known() {
            return Ok(deadline);
        }
        self.read_clock(&self.call(lane, Operation::Connect, &clock()).await?);
        // Even a server so slow that its clock can't be known well enough is worth a try.
        Ok(known().unwrap_or(i64::MAX))
    }

    /// What the rows of an acquire, or of [`clock`], say of the server's clock.
    fn read_clock(&self, replies: &[Reply]) -> Option<i64> {
        let answered = Instant::now();
        let row = replies.iter().rev().find_map(|reply| Some((reply.asked, reply.rows.first()?)));
        let told = row.and_then(|(asked, row)| Some((asked, row.get_opt(row.len() - 1)?.ok()?)));
        match told {
            Some((asked, shown)) => self.clock.read(asked, answered, shown),
            // Nor was one made: it came too late, for all that is known of the clock.
            None => self.clock.forget(),
        }
        told.map(|(_, shown)| shown)
    }

    /// Sends statements; if the table is not there, creates it and sends them again.
    async fn call(&self, lane: &Lane, operation: Operation, text: &str) -> Result<Vec<Reply>, StoreError> {
        let call = || lane.call(operation, text);
        let create = || lane.call(Operation::CreateSchema, &self.statements.create);
        self.creation.around(call, is_table_missing, create, |_| false).await
    }

    async fn renewals(
        &self,
        lane: &Lane,
        requests: &[RenewRequest],
        locked: Locked,
    ) -> Result<Vec<Renewal>, StoreError> {
        let replies = self.call(lane, Operation::Renew, &self.statements.renew(requests, locked)).await?;
        let renewals: Vec<Renewal> =
            last_rows(replies, 0).into_iter().map(renewed).collect::<Result<_, _>>()?;
        counted(Operation::Renew, requests.len(), renewals)
    }

    /// One after the other: each takes effect by itself, and waits for its row.
    async fn releases(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let text: Vec<String> = requests.iter().map(|request| self.statements.release(request)).collect();
        let replies = self.call(&self.releasing, Operation::Release, &text.join(" ")).await?;
        let answers = replies.iter().map(|reply| released(reply.last_insert_id));
        counted(Operation::Release, requests.len(), answers.collect::<Result<_, _>>()?)
    }

    async fn fence(&self, operation: Operation, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let begun = Instant::now();
        loop {
            let deadline = self.deadline(&self.acquiring).await?;
            let text = self.statements.fence(name, operation == Operation::ForceUnlock, deadline);
            let replies = self.call(&self.acquiring, operation, &text).await?;
            let fenced = replies.first().filter(|reply| reply.affected > 0).map(|reply| reply.last_insert_id);
            let in_time = self.read_clock(&replies).is_some_and(|shown| shown <= deadline);
            if fenced.is_some() || in_time {
                return Ok(fenced.and_then(|token| i64::try_from(token).ok()).map(FencingToken::new));
            }
            // The server's clock was set forward, unless this was held up.
            if begun.elapsed() >= self.request_timeout {
                let why = "it reached the server after its time, and nothing was done";
                return Err(failure(operation, StoreErrorKind::Unavailable, why));
            }
        }
    }

    async fn held(&self, operation: Operation, text: &str) -> Result<Vec<LockInfo>, StoreError> {
        let replies = self.call(&self.acquiring, operation, text).await?;
        let found = last_rows(replies, 0).into_iter().map(|row| listed(operation, row));
        found.filter_map(Result::transpose).collect()
    }
}

#[async_trait]
impl LockStore for MysqlStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(BACKEND, MAX_BATCH, self.request_timeout, false, i64::MAX)
            .in_batches()
            .handing_over()
    }

    /// Of many, a name whose row another transaction has locked is not waited for: the race for it is lost, unless it is seen who
    /// holds it.
    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.deadline(&self.acquiring).await?;
        let text = match requests {
            [request] => self.statements.acquire(request, deadline),
            many => self.statements.acquire_many(many, self.request_timeout / 2, deadline),
        };
        let replies = self.call(&self.acquiring, Operation::Acquire, &text).await?;
        self.read_clock(&replies);
        match requests {
            [request] => Ok(vec![acquired(request, last_rows(replies, 0).into_iter().next())?]),
            many => acquired_of_many(many, last_rows(replies, AFTER)),
        }
    }

    /// In a batch no lease waits for another's row. One whose row another transaction has locked is asked for once more;
    /// alone it is waited for, in company it is answered with what its lease still has: the engine comes again before that is
    /// over.
    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let mut renewals = self.renewals(&self.renewing, requests, Locked::Skip).await?;
        let again = async |busy: Vec<RenewRequest>| {
            if requests.len() > 1 {
                return self.renewals(&self.renewing, &busy, Locked::Skip).await;
            }
            let _turn = self.patience.lock().await;
            self.renewals(&self.releasing, &busy, Locked::Wait).await
        };
        ask_again(requests, &mut renewals, |renewal| renewal.is_busy, again).await?;
        Ok(renewals.into_iter().map(|renewal| renewal.answer).collect())
    }

    /// Of many, those that have no row, or whose rows other transactions have locked, are done after the others, one by one.
    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        if requests.len() < 2 {
            return self.releases(requests).await;
        }
        let text = self.statements.release_many(requests);
        let replies = self.call(&self.releasing, Operation::Release, &text).await?;
        let outcomes = last_rows(replies, AFTER).into_iter().next().map(released_of_many).transpose()?;
        let mut outcomes = counted(Operation::Release, requests.len(), outcomes.unwrap_or_default())?;
        let again =
            async |left: Vec<ReleaseRequest>| Ok(self.releases(&left).await?.into_iter().map(Some).collect());
        ask_again(requests, &mut outcomes, Option::is_none, again).await?;
        counted(Operation::Release, requests.len(), outcomes.into_iter().flatten().collect())
    }

    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        let text = self.statements.hand_over(request, self.deadline(&self.releasing).await?);
        let replies = self.call(&self.releasing, Operation::HandOver, &text).await?;
        self.read_clock(&replies);
        let mut replies = replies.into_iter().skip(BEFORE);
        let released = released(replies.next().map_or(0, |reply| reply.last_insert_id))?;
        // The second statement of the acquire has its answer.
        let next = acquired(&request.next, replies.nth(1).and_then(|reply| reply.rows.into_iter().next()))?;
        Ok(HandOverAnswer::new(released, next))
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        let found = self.held(Operation::Inspect, &self.statements.inspect(name)).await?;
        Ok(found.into_iter().next())
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        self.held(Operation::List, &self.statements.list(request)).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::Revoke, name).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::ForceUnlock, name).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let asked = async |text: String| self.call(&self.acquiring, Operation::Purge, &text).await;
        let page = |after: Vec<u8>| async move {
            let found = last_rows(asked(self.statements.page_end(&after)).await?, 0);
            let last: Option<Vec<u8>> = found.into_iter().next().and_then(|mut row| row.take(0));
            // No name has such a byte.
            let to = last.as_deref().unwrap_or(&[0xFF]);
            let replies = asked(self.statements.purge(idle_for, &after, to)).await?;
            Ok((replies.first().map_or(0, |reply| reply.affected), last))
        };
        page_by_page(Vec::new(), page).await
    }

    fn schema(&self) -> String {
        self.statements.schema.clone()
    }
}

impl fmt::Debug for MysqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlStore").field("table", &self.table).finish_non_exhaustive()
    }
}

/// The rows in the last reply, but for so many `after` it.
fn last_rows(replies: Vec<Reply>, after: usize) -> Vec<Row> {
    replies.into_iter().nth_back(after).map_or_else(Vec::new, |reply| reply.rows)
}

fn counted<T>(operation: Operation, asked: usize, answers: Vec<T>) -> Result<Vec<T>, StoreError> {
    in_order(asked, answers.into_iter().enumerate().collect())
        .map_err(|why| failure(operation, StoreErrorKind::Other, why))
}
