//! A store in this process's memory: the reference of the contract, and what tests run on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::stream;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::backend::{all_or_error, micros};
use crate::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, ListRequest, LockInfo,
    LockStore, MarkRequest, Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, StoreError,
    StoreErrorKind, Wakeup, Wakeups,
};
use crate::{FencingToken, GrantId, Holder, Label, LockName, LostReason};

/// A [`LockStore`] in memory: for tests, examples, and as the shortest correct implementation to read.
///
/// Its locks exclude only what shares it (clones share it), and are gone with the process. Its clock is tokio's:
/// under `tokio::time::pause` leases run out in virtual time.
///
/// ```
/// use golock_core::{LockOptions, Locker, MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), golock_core::Error> {
/// let locker = Locker::new(MemoryStore::new());
/// let lock = locker.try_lock(LockOptions::new("nightly-report")).await?;
/// assert!(lock.is_held());
/// lock.unlock().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rows: Mutex<BTreeMap<LockName, Row>>,
    freed: broadcast::Sender<LockName>,
    /// The time since 1970 at `started`: this store is the server, so its wall clock is the server's.
    epoch: Duration,
    started: Instant,
}

#[derive(Debug)]
struct Row {
    grant: Option<GrantId>,
    released: Option<GrantId>,
    lock_by: Label,
    token: FencingToken,
    locked_at: Duration,
    expires_at: Duration,
    waiters_until: Duration,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[allow(clippy::disallowed_methods, reason = "this is the server: its clock begins with the time of day")]
    pub fn new() -> Self {
        Self::starting_at(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    /// An empty store whose clock starts at `epoch` since 1970, so that a test's tokens are the same each run.
    pub fn starting_at(epoch: Duration) -> Self {
        let shared = Shared {
            rows: Mutex::default(),
            freed: broadcast::Sender::new(1024),
            epoch,
            started: Instant::now(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Deletes all that is known of a name, as somebody with a SQL prompt would.
    pub fn delete(&self, name: &LockName) {
        self.rows().remove(name);
    }

    /// Deletes everything, as a TRUNCATE would.
    pub fn clear(&self) {
        self.rows().clear();
    }

    /// Sets the last token of a name, as somebody with a SQL prompt would. Nothing happens to a name never
    /// locked.
    pub fn set_token(&self, name: &LockName, token: FencingToken) {
        if let Some(row) = self.rows().get_mut(name) {
            row.token = token;
        }
    }

    /// Lets the lease of a name run out so long from now, sooner or later than it was to: as a backup would that was restored.
    /// Nothing happens to a name never locked.
    pub fn set_remaining(&self, name: &LockName, remaining: Duration) {
        let (mut rows, now) = self.at_one_moment();
        if let Some(row) = rows.get_mut(name) {
            row.expires_at = now.saturating_add(remaining);
        }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<LockName, Row>> {
        self.shared.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows, and the time once they are ours: nobody has written with a later one.
    fn at_one_moment(&self) -> (MutexGuard<'_, BTreeMap<LockName, Row>>, Duration) {
        let rows = self.rows();
        let now = self.now();
        (rows, now)
    }

    fn now(&self) -> Duration {
        self.shared.epoch.saturating_add(self.shared.started.elapsed())
    }

    fn next_token(
        last: Option<FencingToken>,
        now: Duration,
        doing: Operation,
    ) -> Result<FencingToken, StoreError> {
        FencingToken::following(last, now, i64::MAX).ok_or_else(|| {
            StoreError::new("memory", doing, StoreErrorKind::TokenExhausted, "the token is i64::MAX")
        })
    }

    fn acquire_one(&self, wanted: &AcquireRequest) -> Result<AcquireAnswer, StoreError> {
        let (mut rows, now) = self.at_one_moment();
        Self::acquire_at(&mut rows, now, wanted)
    }

    fn acquire_at(
        rows: &mut BTreeMap<LockName, Row>,
        now: Duration,
        wanted: &AcquireRequest,
    ) -> Result<AcquireAnswer, StoreError> {
        let Some(row) = rows.get_mut(&wanted.name) else {
            let token = Self::next_token(None, now, Operation::Acquire)?;
            rows.insert(wanted.name.clone(), Row::granted(wanted, token, now));
            return Ok(AcquireAnswer::granted(token, wanted.lease));
        };
        if row.released == Some(wanted.grant) {
            return Ok(AcquireAnswer::Raced);
        }
        if row.expires_at > now {
            if row.grant != Some(wanted.grant) {
                return Ok(AcquireAnswer::Held(row.holder(now)));
            }
            row.expires_at = row.expires_at.max(now.saturating_add(wanted.lease));
        } else {
            let token = Self::next_token(Some(row.token), now, Operation::Acquire)?;
            let kept = (row.released, row.waiters_until);
            *row = Row::granted(wanted, token, now);
            (row.released, row.waiters_until) = kept;
        }
        Ok(AcquireAnswer::granted(row.token, row.expires_at - now))
    }

    fn renew_one(&self, wanted: &RenewRequest) -> RenewAnswer {
        let (mut rows, now) = self.at_one_moment();
        let Some(row) = rows.get_mut(&wanted.name) else {
            return RenewAnswer::Lost(LostReason::RowGone);
        };
        if row.released == Some(wanted.grant) {
            return RenewAnswer::Lost(LostReason::Revoked);
        }
        if (row.grant, row.token) != (Some(wanted.grant), wanted.token) {
            return RenewAnswer::Lost(LostReason::Taken);
        }
        if row.expires_at <= now {
            return RenewAnswer::Lost(LostReason::Expired);
        }
        row.expires_at = row.expires_at.max(now.saturating_add(wanted.lease));
        RenewAnswer::renewed(row.expires_at - now)
    }

    fn release_one(&self, wanted: &ReleaseRequest) -> Result<ReleaseAnswer, StoreError> {
        let (mut rows, now) = self.at_one_moment();
        self.release_at(&mut rows, now, wanted)
    }

    fn release_at(
        &self,
        rows: &mut BTreeMap<LockName, Row>,
        now: Duration,
        wanted: &ReleaseRequest,
    ) -> Result<ReleaseAnswer, StoreError> {
        let Some(row) = rows.get_mut(&wanted.name) else {
            let token = Self::next_token(None, now, Operation::Release)?;
            rows.insert(wanted.name.clone(), Row::tombstone(wanted.grant, token, now));
            return Ok(ReleaseAnswer::NotYours(LostReason::RowGone));
        };
        if row.released == Some(wanted.grant) {
            return Ok(ReleaseAnswer::AlreadyReleased);
        }
        row.released = Some(wanted.grant);
        if row.grant != Some(wanted.grant) {
            return Ok(ReleaseAnswer::NotYours(LostReason::Taken));
        }
        row.grant = None;
        let end = now.max(row.locked_at.saturating_add(wanted.lock_at_least));
        self.end_sooner(&wanted.name, row, end, now);
        Ok(ReleaseAnswer::Released)
    }

    /// Takes the next token from whoever holds the name, and lets the lease run until `expires_at` of it.
    fn fence(
        &self,
        name: &LockName,
        doing: Operation,
        expires_at: impl FnOnce(&Row, Duration) -> Duration,
    ) -> Result<Option<FencingToken>, StoreError> {
        let (mut rows, now) = self.at_one_moment();
        let Some(row) = rows.get_mut(name).filter(|row| row.expires_at > now) else {
            return Ok(None);
        };
        row.token = Self::next_token(Some(row.token), now, doing)?;
        row.released = row.grant.take().or(row.released);
        let end = expires_at(row, now);
        self.end_sooner(name, row, end, now);
        Ok(Some(row.token))
    }

    /// Ends a lease at `end`, if that is sooner, and tells those who sleep until its former end.
    fn end_sooner(&self, name: &LockName, row: &mut Row, end: Duration, now: Duration) {
        if end < row.expires_at {
            row.expires_at = end;
            if row.waiters_until > now {
                // An error says that nobody listens.
                let _ = self.shared.freed.send(name.clone());
            }
        }
    }
}

#[async_trait]
impl LockStore for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("memory", 500, Duration::from_secs(5), true, i64::MAX).in_batches().handing_over()
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        all_or_error(requests.iter().map(|wanted| self.acquire_one(wanted)))
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        Ok(requests.iter().map(|wanted| self.renew_one(wanted)).collect())
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        all_or_error(requests.iter().map(|wanted| self.release_one(wanted)))
    }

    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        let HandOverRequest { release, next, .. } = request;
        let (mut rows, now) = self.at_one_moment();
        let may_pass_on = rows.get(&next.name).is_some_and(|row| {
            row.waiters_until <= now && row.released != Some(next.grant) && row.token.get() < i64::MAX
        });
        let released = self.release_at(&mut rows, now, release)?;
        let next = match released {
            ReleaseAnswer::Released if may_pass_on => Self::acquire_at(&mut rows, now, next)?,
            _ => AcquireAnswer::Raced,
        };
        Ok(HandOverAnswer::new(released, next))
    }

    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        let (mut rows, now) = self.at_one_moment();
        for mark in requests {
            if let Some(row) = rows.get_mut(&mark.name) {
                row.waiters_until = row.waiters_until.max(now.saturating_add(mark.standing));
            }
        }
        Ok(())
    }

    fn wakeups(&self) -> Option<Wakeups> {
        let freed = self.shared.freed.subscribe();
        Some(Box::pin(stream::unfold((freed, false), async |(mut freed, listening)| {
            let event = if !listening {
                Wakeup::Listening
            } else {
                match freed.recv().await {
                    Ok(name) => Wakeup::Freed(name),
                    // Some were missed: as after a reconnect.
                    Err(broadcast::error::RecvError::Lagged(_)) => Wakeup::Listening,
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            };
            Some((event, (freed, true)))
        })))
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        let (rows, now) = self.at_one_moment();
        Ok(rows.get(name).and_then(|row| row.info(name, now)))
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let (rows, now) = self.at_one_moment();
        let held = rows
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(&request.prefix))
            .filter(|(name, _)| request.after.as_ref().is_none_or(|after| *name > after))
            .filter_map(|(name, row)| row.info(name, now));
        Ok(held.take(request.limit).collect())
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(name, Operation::Revoke, |row, _| row.expires_at)
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(name, Operation::ForceUnlock, |_, now| now)
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let (mut rows, now) = self.at_one_moment();
        let before = rows.len();
        // A name whose token is ahead of the clock stays: without its row the next token would be smaller.
        rows.retain(|_, row| row.expires_at.saturating_add(idle_for) > now || row.token.get() >= micros(now));
        Ok((before - rows.len()) as u64)
    }

    fn schema(&self) -> String {
        "-- The memory store needs no schema.\n".to_owned()
    }
}

impl Row {
    fn granted(wanted: &AcquireRequest, token: FencingToken, now: Duration) -> Self {
        Self {
            grant: Some(wanted.grant),
            released: None,
            lock_by: wanted.lock_by.clone(),
            token,
            locked_at: now,
            expires_at: now.saturating_add(wanted.lease),
            waiters_until: Duration::ZERO,
        }
    }

    /// What an undo leaves where there was no row: its acquire, should it arrive yet, is refused.
    fn tombstone(released: GrantId, token: FencingToken, now: Duration) -> Self {
        Self {
            grant: None,
            released: Some(released),
            lock_by: Label::nobody(),
            token,
            locked_at: now,
            expires_at: now,
            waiters_until: Duration::ZERO,
        }
    }

    fn holder(&self, now: Duration) -> Holder {
        let (held_for, remaining) = (now.saturating_sub(self.locked_at), self.expires_at.saturating_sub(now));
        Holder::new(self.lock_by.clone(), held_for, remaining, self.token)
    }

    fn info(&self, name: &LockName, now: Duration) -> Option<LockInfo> {
        (self.expires_at > now).then(|| LockInfo::new(name.clone(), self.holder(now), self.grant.is_none()))
    }
}
