//! A lock that is held, and what may watch it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use crate::engine::{Command, Commands, Lease, Reply, ask, extending, unlocking};
use crate::options::check_lease;
use crate::{Error, FencingToken, Label, LockName, LostReason};

/// A granted lock.
///
/// # Guarantees
/// While [`is_held`](Self::is_held) is true, nobody else holds the name: it turns false *before* the lease ends on
/// the server. That rests on clocks that run at the same rate within the margin (1 % unless set otherwise by
/// [`LockerBuilder::margin`](crate::LockerBuilder::margin)), and on the durability of the store; where it may
/// break, the [`token`](Self::token) still protects a resource that checks it.
///
/// # Dropping it
/// gives it back in the background, on any thread, in or out of a runtime; it never blocks or panics. The name is
/// not yet free when `drop` returns: use [`unlock`](Self::unlock) to know. If the runtime that built the
/// [`Locker`](crate::Locker) has ended, the name is freed when the lease ends.
#[must_use = "dropping a lock gives it back"]
pub struct Lock {
    lease: Arc<Lease>,
    commands: Commands,
    given_back: bool,
}

impl Lock {
    pub(crate) fn new(lease: Arc<Lease>, commands: Commands) -> Self {
        Self { lease, commands, given_back: false }
    }

    /// The caller has it, and may work under it.
    pub(crate) fn taken(self) -> Self {
        self.lease.take();
        self
    }

    /// What is locked.
    pub fn name(&self) -> &LockName {
        &self.lease.name
    }

    /// The fencing token of this grant: larger than that of any earlier grant of the name.
    pub fn token(&self) -> FencingToken {
        self.lease.token
    }

    /// The label it is held under.
    pub fn lock_by(&self) -> &Label {
        &self.lease.lock_by
    }

    /// Whether the lease is still held, by the clock at this call.
    pub fn is_held(&self) -> bool {
        self.lease.is_held()
    }

    /// How long the lease may still be relied on without another renewal, by the clock at this call; zero once
    /// lost.
    pub fn remaining(&self) -> Duration {
        self.lease.remaining()
    }

    /// Resolves when the lease is lost: at the first poll at or after its deadline, or when a renewal finds it
    /// taken, revoked or gone; from then on at once. Never after [`unlock`](Self::unlock).
    ///
    /// It borrows nothing. Await it in a tokio runtime with time enabled; dropping it changes nothing.
    ///
    /// ```
    /// # use golock_core::{LockOptions, Locker, MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), golock_core::Error> {
    /// # let locker = Locker::new(MemoryStore::new());
    /// # async fn next_step() {}
    /// let lock = locker.lock(LockOptions::new("leader").auto_renew(true)).await?;
    /// tokio::select! {
    ///     biased;
    ///     reason = lock.lost() => println!("no longer the leader: {reason}"),
    ///     () = next_step() => lock.unlock().await?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn lost(&self) -> impl Future<Output = LostReason> + Send + 'static + use<> {
        self.lease.clone().lost()
    }

    /// Extends the lease to at least `lock_at_most` from now, and waits for the store to confirm it. Never
    /// shortens it.
    ///
    /// # Errors
    /// [`Error::Invalid`] outside of 10 ms to 365 days; [`Error::Lost`] if the lease was lost;
    /// [`Error::Store`] if the store did not confirm it in time (the lease then runs as before, or longer);
    /// [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back: the lease may or may not be extended.
    pub async fn extend(&self, lock_at_most: Duration) -> Result<(), Error> {
        let to = check_lease(lock_at_most)?;
        let extend = |reply| Command::Extend { lease: self.lease.clone(), to, reply };
        ask(&self.commands, extend).instrument(extending(&self.lease)).await.unwrap_or(Err(Error::Closed))
    }

    /// Gives the lock back, and waits for the store to confirm it. What is left of `lock_at_least` keeps the name
    /// taken.
    ///
    /// A release that fails is repeated in the background until the lease is over, whatever became of this call.
    ///
    /// # Errors
    /// [`Error::Lost`] if the lease was lost before: what was done under it may have overlapped with another
    /// holder's work. (Also if the release had to be repeated, and by then another had the name: it can't be told whether that one
    /// came before or after.) [`Error::Store`] if the store did not confirm it in time; [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future, even before its first poll, gives the lock back as dropping the lock does.
    pub async fn unlock(mut self) -> Result<(), Error> {
        if let Err(reason) = self.lease.give_back() {
            return Err(Error::Lost { name: self.lease.name.clone(), reason });
        }
        self.given_back = true;
        let release = |reply| self.release(Some(reply));
        ask(&self.commands, release).instrument(unlocking(&self.lease)).await.unwrap_or(Err(Error::Closed))
    }

    /// A view of this lock to share with whatever works under it.
    pub fn watch(&self) -> LockWatch {
        LockWatch { lease: self.lease.clone() }
    }

    fn release(&self, reply: Option<Reply<()>>) -> Command {
        let at_least = if self.lease.is_taken() { self.lease.at_least } else { Duration::ZERO };
        Command::Release { lease: self.lease.clone(), at_least, reply }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.given_back {
            let _ = self.lease.give_back();
            // An error says that the keeper is gone: the lease frees the name.
            let _ = self.commands.send(self.release(None));
        }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(&self.lease, f.debug_struct("Lock"))
    }
}

/// A view of a [`Lock`] that can be cloned and shared; it holds nothing, and keeps nothing alive.
#[derive(Clone)]
pub struct LockWatch {
    lease: Arc<Lease>,
}

impl LockWatch {
    /// What is locked.
    pub fn name(&self) -> &LockName {
        &self.lease.name
    }

    /// The fencing token of the grant.
    pub fn token(&self) -> FencingToken {
        self.lease.token
    }

    /// Whether the lease is still held, by the clock at this call; false once unlocked.
    pub fn is_held(&self) -> bool {
        self.lease.is_held()
    }

    /// As [`Lock::remaining`]; zero once unlocked.
    pub fn remaining(&self) -> Duration {
        self.lease.remaining()
    }

    /// It was lost before it was given back, by what the store has said until now.
    pub(crate) fn had_been_lost(&self) -> bool {
        self.lease.lost_by().is_some() || self.lease.had_been_lost()
    }

    /// As [`Lock::lost`]: never resolves once the lock was given back in time. So a task that awaits nothing else is aborted when
    /// the lock is given back, or stays for ever.
    pub fn lost(&self) -> impl Future<Output = LostReason> + Send + 'static + use<> {
        self.lease.clone().lost()
    }
}

impl fmt::Debug for LockWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(&self.lease, f.debug_struct("LockWatch"))
    }
}

fn describe(lease: &Lease, mut f: fmt::DebugStruct<'_, '_>) -> fmt::Result {
    f.field("name", &lease.name)
        .field("token", &lease.token)
        .field("lock_by", &lease.lock_by)
        .field("held", &lease.is_held())
        .finish_non_exhaustive()
}
