//! The server of a simulation: a `MemoryStore` whose every step goes into the ledger, which can be down, and which
//! can be wrong on purpose.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, ListRequest, LockInfo,
    MarkRequest, Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, Wakeups,
};
use golock_core::{FencingToken, LockName, LockStore, MemoryStore, StoreError, StoreErrorKind, async_trait};

use super::ledger::Ledger;
use crate::common::secs;

/// Clones are the same server.
#[derive(Clone)]
pub(super) struct Judged {
    server: MemoryStore,
    ledger: Arc<Mutex<Ledger>>,
    down: Arc<AtomicBool>,
    kind: Kind,
    wrong: Option<Wrong>,
}

/// What kind of database it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// It can do everything, as PostgreSQL and Redis.
    Pushing,
    /// It wakes nobody, as MySQL.
    Mute,
    /// It wakes nobody and hands nothing over, and every request is a call of its own, as SQL Server.
    Plain,
}

/// A server that the checks must find out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wrong {
    GrantsWhatIsHeld,
    DeletesOnRelease,
    RenewsWhatIsOver,
    ReleasesNothing,
}

impl Judged {
    pub(super) fn new(kind: Kind, wrong: Option<Wrong>) -> Self {
        let server = MemoryStore::starting_at(secs(1_700_000_000));
        Self { server, ledger: Arc::default(), down: Arc::default(), kind, wrong }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Nothing that arrives while the server is down has any effect.
    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// It forgets all that it knew.
    pub(super) fn lose_all(&self) {
        self.server.clear();
        self.ledger().rows_lost();
    }

    fn up(&self, operation: Operation) -> Result<(), StoreError> {
        match self.down.load(Ordering::Relaxed) {
            true => {
                Err(StoreError::new("memory", operation, StoreErrorKind::Connection, "the server is down"))
            }
            false => Ok(()),
        }
    }
}

impl fmt::Debug for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judged")
    }
}

#[async_trait]
impl LockStore for Judged {
    fn capabilities(&self) -> Capabilities {
        let without_push = Capabilities::new("memory", 500, secs(5), false, i64::MAX);
        match self.kind {
            Kind::Pushing => self.server.capabilities(),
            Kind::Mute => without_push.in_batches().handing_over(),
            Kind::Plain => without_push,
        }
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        self.up(Operation::Acquire)?;
        if self.wrong == Some(Wrong::GrantsWhatIsHeld) {
            self.server.force_unlock(&requests[0].name).await?;
        }
        let answers = self.server.acquire(requests).await?;
        for (request, answer) in requests.iter().zip(&answers) {
            self.ledger().acquired(request, answer);
        }
        Ok(answers)
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        self.up(Operation::Renew)?;
        let mut answers = self.server.renew(requests).await?;
        for (request, answer) in requests.iter().zip(&mut answers) {
            if self.wrong == Some(Wrong::RenewsWhatIsOver) {
                *answer = RenewAnswer::renewed(request.lease);
            }
            self.ledger().renewed(request, answer);
        }
        Ok(answers)
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        self.up(Operation::Release)?;
        if self.wrong == Some(Wrong::ReleasesNothing) {
            return Ok(vec![ReleaseAnswer::Released; requests.len()]);
        }
        let answers = self.server.release(requests).await?;
        for (request, answer) in requests.iter().zip(&answers) {
            if self.wrong == Some(Wrong::DeletesOnRelease) {
                self.server.delete(&request.name);
            }
            self.ledger().released(request, *answer);
        }
        Ok(answers)
    }

    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        self.up(Operation::HandOver)?;
        if self.wrong.is_some() {
            let released = self.release(std::slice::from_ref(&request.release)).await?;
            return Ok(HandOverAnswer::new(released[0], AcquireAnswer::Raced));
        }
        let answer = self.server.hand_over(request).await?;
        self.ledger().released(&request.release, answer.released);
        self.ledger().acquired(&request.next, &answer.next);
        Ok(answer)
    }

    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        self.up(Operation::MarkWaiting)?;
        self.server.mark_waiting(requests).await
    }

    fn wakeups(&self) -> Option<Wakeups> {
        self.server.wakeups().filter(|_| self.kind == Kind::Pushing)
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        self.up(Operation::Inspect)?;
        self.server.inspect(name).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        self.up(Operation::List)?;
        self.server.list(request).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.up(Operation::Revoke)?;
        let token = self.server.revoke(name).await?;
        if let Some(token) = token {
            self.ledger().fenced(name, token, false);
        }
        Ok(token)
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.up(Operation::ForceUnlock)?;
        let token = self.server.force_unlock(name).await?;
        if let Some(token) = token {
            self.ledger().fenced(name, token, true);
        }
        Ok(token)
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        self.up(Operation::Purge)?;
        let purged = self.server.purge(idle_for).await?;
        self.ledger().purged(idle_for);
        Ok(purged)
    }

    fn schema(&self) -> String {
        self.server.schema()
    }
}
