//! What a service locks with.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::engine::{Calls, Command, Commands, Series, ask};
use crate::options::Wanted;
use crate::store::{ListRequest, LockInfo, LockStore, Operation, StoreError};
use crate::{Error, FencingToken, Lock, LockName, LockOptions, LockWatch, LockerBuilder, LostReason};

/// Locks names on a store. One per process and database is enough: it is cheap to clone, and its locks, waiters
/// and renewals share a few connections.
///
/// It is built in a tokio runtime (with time enabled) and does all its work on a task of that runtime, the
/// *keeper*; its futures may be awaited, and its locks dropped, anywhere ([`run`](Self::run) and [`Lock::lost`] in a tokio runtime, for
/// they end with a deadline). When the last handle is gone the keeper
/// finishes what is under way and ends. Work that blocks all threads of that runtime stops the keeper, and so the renewals: hand it to
/// [`spawn_blocking`](tokio::task::spawn_blocking). Code that is not async uses
/// [`Handle::block_on`](tokio::runtime::Handle::block_on) of a runtime with threads of its own (`multi_thread`) that outlives its locks.
///
/// A lock is not re-entrant: a name that this locker holds is refused like any other, and the refusal says
/// `by_self`. Fairness holds within a locker (first come first served per name), not between processes.
#[derive(Clone)]
pub struct Locker {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Commands,
    calls: Calls,
    callers: AtomicU64,
}

/// How many locks are asked for at once by [`Locker::list`].
const PAGE: usize = 500;

/// How long a purge may take, which is many statements.
const PURGE_LIMIT: Duration = Duration::from_secs(600);

impl Locker {
    /// A locker on `store`, with the default margin.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`] does.
    pub fn new(store: impl LockStore) -> Self {
        Self::builder(store).build()
    }

    /// Sets up a locker on `store`.
    pub fn builder(store: impl LockStore) -> LockerBuilder {
        LockerBuilder::new(Arc::new(store))
    }

    pub(crate) fn over(commands: Commands, calls: Calls) -> Self {
        Self { shared: Arc::new(Shared { commands, calls, callers: AtomicU64::new(0) }) }
    }

    /// Locks a name if it is free, and waits for no holder.
    ///
    /// One round trip when the name is free. If others of this process already wait for the name, nothing is sent: it is refused by what
    /// the last answer said of the holder, or by the answer that they are waiting for. If a lock of this process on the name is just
    /// being given back, the store's confirmation is waited for first.
    ///
    /// # Errors
    /// [`Error::Held`] says who holds it, for how long, and what remains; [`Error::Invalid`]; [`Error::Store`];
    /// [`Error::WaitTimeout`] if nothing was learned of the holder; [`Error::Lost`] if the lease was over before this task
    /// went on; [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind: what may have been granted is given back in the background.
    pub async fn try_lock(&self, options: LockOptions) -> Result<Lock, Error> {
        self.acquire(options.wait(Duration::ZERO).check()?).await
    }

    /// Locks a name, waiting for it up to [`wait`](LockOptions::wait) (default: for ever).
    ///
    /// In one process callers are served first come first served. The wait may be exceeded by the time that one
    /// last try takes.
    ///
    /// # Errors
    /// As [`try_lock`](Self::try_lock), once the wait is over. A store that fails transiently is asked again until then: what it
    /// failed with at last is the source of [`Error::WaitTimeout`]. Who sets no `wait` waits until the store is back. A failure that
    /// does not pass by itself is told at once.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; what may have been granted is given back in the background.
    pub async fn lock(&self, options: LockOptions) -> Result<Lock, Error> {
        self.acquire(options.check()?).await
    }

    /// Locks a name (as [`lock`](Self::lock)), runs `work`, and unlocks.
    ///
    /// `work` is dropped, at whatever `.await` it stands, when the lease can't be kept: before the lease ends
    /// on the server. So it can't overlap with another holder's, except for what it leaves running elsewhere
    /// (tasks it spawned, statements on a server): pass them the token. Its value is returned if it ended in
    /// time; of work that can fail that is a `Result`, hence `.await??`.
    ///
    /// It waits its turn: of ten machines that run a job like this, each does, one after the other. For a job that one of them is to
    /// run there is [`try_run`](Self::try_run).
    ///
    /// ```
    /// # use golock_core::{LockOptions, Locker, MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), golock_core::Error> {
    /// # let locker = Locker::new(MemoryStore::new());
    /// let rows = locker
    ///     .run(LockOptions::new("nightly-report").auto_renew(true), |lock| async move {
    ///         println!("fenced by {}", lock.token());
    ///         42
    ///     })
    ///     .await?;
    /// assert_eq!(rows, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`lock`](Self::lock); [`Error::Lost`] if `work` was dropped, ended too late, or had ended when the store said that the lock
    /// had been taken away meanwhile. That the name could not be given back in time is not an error here: it is retried in the
    /// background.
    ///
    /// # Cancel safety
    /// Dropping the future drops `work` first, then gives the lock back in the background.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled: what it waits for ends with a deadline.
    pub async fn run<T, F, Fut>(&self, options: LockOptions, work: F) -> Result<T, Error>
    where
        F: FnOnce(LockWatch) -> Fut,
        Fut: Future<Output = T>,
    {
        let lock = self.lock(options).await?;
        let lost = |reason| Err(Error::Lost { name: lock.name().clone(), reason });
        let value = {
            let work = pin!(work(lock.watch()));
            tokio::select! {
                biased;
                reason = lock.lost() => return lost(reason),
                value = work => value,
            }
        };
        // The last stretch of work may have kept its thread past the deadline.
        if let Some(reason) = lock.lost().now_or_never() {
            return lost(reason);
        }
        let watch = lock.watch();
        match lock.unlock().await {
            Err(error) if watch.had_been_lost() => Err(error),
            _ => Ok(value),
        }
    }

    /// Runs `work` now or not at all: as [`run`](Self::run), but waits for no holder, as [`try_lock`](Self::try_lock). For a job that
    /// every machine starts and one is to run; with [`lock_at_least`](LockOptions::lock_at_least), once even if their clocks differ.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use golock_core::{LockOptions, Locker, MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), golock_core::Error> {
    /// # let locker = Locker::new(MemoryStore::new());
    /// let nightly = LockOptions::new("nightly-report")
    ///     .lock_at_least(Duration::from_secs(30))
    ///     .lock_at_most(Duration::from_secs(600));
    /// match locker.try_run(nightly, |_| async { println!("reporting") }).await {
    ///     Err(refused) if refused.is_held() => println!("another does it: {refused}"),
    ///     outcome => outcome?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`try_lock`](Self::try_lock) and [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub async fn try_run<T, F, Fut>(&self, options: LockOptions, work: F) -> Result<T, Error>
    where
        F: FnOnce(LockWatch) -> Fut,
        Fut: Future<Output = T>,
    {
        self.run(options.wait(Duration::ZERO), work).await
    }

    /// Who holds a name, since when and for how long still; `None` if it is free.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Store`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn inspect(&self, name: impl AsRef<str>) -> Result<Option<LockInfo>, Error> {
        let name = LockName::new(name.as_ref())?;
        self.on_store(Operation::Inspect, Some(name.clone()), async move |store| store.inspect(&name).await)
            .await
    }

    /// All locks that are held and whose names begin with `prefix` (empty: all), ordered by the bytes of their
    /// names. Not a snapshot: it is read page by page.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn list(&self, prefix: &str) -> Result<Vec<LockInfo>, Error> {
        let mut found = Vec::<LockInfo>::new();
        loop {
            let mut request = ListRequest::new(prefix, PAGE);
            request.after = found.last().map(|last| last.name.clone());
            let page =
                self.on_store(Operation::List, None, async move |store| store.list(&request).await).await?;
            // A page may be short of rows that somebody else wrote.
            if page.is_empty() {
                return Ok(found);
            }
            found.extend(page);
        }
    }

    /// Takes a lock from its holder without overlap: fences it at once (the new token is returned: tell the
    /// guarded resource), forbids its renewal, and lets its lease run out. `None` if nobody holds it.
    ///
    /// The holder learns of it at its next renewal.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Store`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back.
    pub async fn revoke(&self, name: impl AsRef<str>) -> Result<Option<FencingToken>, Error> {
        let name = LockName::new(name.as_ref())?;
        self.on_store(Operation::Revoke, Some(name.clone()), async move |store| store.revoke(&name).await)
            .await
    }

    /// Frees a name at once, whoever holds it. **Its holder may still be at work** until its next renewal: only
    /// the token (a newer one is returned) protects until then. `None` if nobody holds it.
    ///
    /// Others of the holder's own locker wait until that one learns of it: without `auto_renew`, until the lease would have been over.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Store`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back.
    pub async fn force_unlock(&self, name: impl AsRef<str>) -> Result<Option<FencingToken>, Error> {
        let name = LockName::new(name.as_ref())?;
        let lock = Some(name.clone());
        self.on_store(Operation::ForceUnlock, lock, async move |store| store.force_unlock(&name).await).await
    }

    /// Deletes what the store remembers of names that have been free for `idle_for` or longer; says how many.
    /// Tokens keep growing all the same. On a large table it may take long: ten minutes at most.
    ///
    /// Choose an `idle_for` of a minute and more: a name that is forgotten while a request for it is still on its way to the server
    /// may be granted by that with a token that is no larger than the last.
    ///
    /// # Errors
    /// [`Error::Store`]: what was deleted before stays deleted. [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back.
    pub async fn purge(&self, idle_for: Duration) -> Result<u64, Error> {
        self.on_store(Operation::Purge, None, async move |store| store.purge(idle_for).await).await
    }

    /// What a database administrator runs to prepare the store: tables and privileges, as text.
    pub fn schema(&self) -> String {
        self.shared.calls.store.schema()
    }

    /// The backend: `"postgres"`.
    pub fn backend(&self) -> &'static str {
        self.shared.calls.capabilities.backend
    }

    /// Ends this locker and all its clones: new calls and everybody in line get [`Error::Closed`] at once. Locks
    /// that are held live on (and are renewed) until they are given back, or `timeout` is over: those left then
    /// run out with their leases, which their holders see as lost in time. One that is lost already, and that nobody has given back, is
    /// waited for until it surely is over on the server, too. Returns how many locks were still held (0 if the locker had
    /// ended before). A lock that was given back, but whose release the store has not confirmed by then, is not one of them: its name
    /// is free when its lease is over, if not before.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the shutdown back.
    pub async fn shutdown(&self, timeout: Duration) -> usize {
        ask(&self.shared.commands, |reply| Command::Shutdown { timeout, reply }).await.unwrap_or(0)
    }

    async fn acquire(&self, wanted: Wanted) -> Result<Lock, Error> {
        let asked = self.shared.calls.telemetry.asked(&wanted.name, &self.shared.calls.clock);
        let answer = self.get_in_line(wanted, asked.series()).instrument(asked.span()).await;
        asked.answered(&answer);
        answer
    }

    async fn get_in_line(&self, mut wanted: Wanted, series: &Series) -> Result<Lock, Error> {
        let started = tokio::time::Instant::now();
        let wait = wanted.wait;
        loop {
            let (name, commands) = (wanted.name.clone(), &self.shared.commands);
            let caller = self.shared.callers.fetch_add(1, Ordering::Relaxed);
            let place = Place { commands, name: &name, caller };
            let lock =
                |reply| Command::Lock { caller, wanted: wanted.clone(), series: series.clone(), reply };
            let lock = ask(commands, lock).await.ok_or(Error::Closed)??;
            std::mem::forget(place);
            // This task may have been kept waiting for longer than the lease.
            if lock.is_held() {
                return Ok(lock.taken());
            }
            wanted.wait = wait.map(|wait| wait.saturating_sub(started.elapsed()));
            if wanted.wait == Some(Duration::ZERO) {
                return Err(Error::Lost { name, reason: LostReason::Expired });
            }
        }
    }

    /// Makes an operator's call through the keeper, which drives it to its end.
    async fn on_store<T, F, Fut>(
        &self,
        operation: Operation,
        name: Option<LockName>,
        call: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(Arc<dyn LockStore>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, StoreError>> + Send,
    {
        let calls = self.shared.calls.clone();
        let limit = if operation == Operation::Purge { PURGE_LIMIT.max(calls.limit) } else { calls.limit };
        let span = calls.telemetry.operating(operation, name.as_ref());
        let run = |reply: oneshot::Sender<_>| {
            Command::Run(Box::pin(async move {
                let _ = reply.send(calls.bounded(operation, limit, call(calls.store.clone())).await);
            }))
        };
        let answer = ask(&self.shared.commands, run).instrument(span).await.ok_or(Error::Closed)?;
        answer.map_err(|source| Error::Store { name, source })
    }
}

impl fmt::Debug for Locker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locker").field("store", &self.shared.calls.store).finish_non_exhaustive()
    }
}

/// A place in line: left when the caller's future is dropped.
struct Place<'a> {
    commands: &'a Commands,
    name: &'a LockName,
    caller: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Leave { name: self.name.clone(), caller: self.caller });
    }
}
