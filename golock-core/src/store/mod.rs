//! The contract between the engine and a backend: what whoever writes a backend implements.

mod answer;
mod capabilities;
mod error;
mod request;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;

pub use self::answer::{AcquireAnswer, HandOverAnswer, LockInfo, ReleaseAnswer, RenewAnswer, Wakeup};
pub use self::capabilities::Capabilities;
pub use self::error::{Operation, StoreError, StoreErrorKind};
pub use self::request::{
    AcquireRequest, HandOverRequest, ListRequest, MarkRequest, ReleaseRequest, RenewRequest,
};
use crate::{FencingToken, LockName};

/// What [`LockStore::wakeups`] returns.
pub type Wakeups = Pin<Box<dyn Stream<Item = Wakeup> + Send>>;

/// A place that keeps leases: one row a name, and a clock.
///
/// Users never call it; the engine behind [`Locker`](crate::Locker) does. It holds only atomic primitives: no
/// loop, no sleep, no clock of the client.
///
/// # To be correct, a store must
///
/// * **decide by its own clock**, in the same atomic step that writes. A lease is *alive* while
///   `expires_at > now` on the server; no time of the client enters any decision;
/// * **never grant a name while another grant of it is alive**, whatever is sent at once, repeated, delayed or
///   reordered;
/// * **number grants** by [`FencingToken::following`]: `max(last + 1, server µs since 1970)`, also for a name it
///   has never seen. So a row is kept after a release, and no expiry deletes it while its token could matter.
///   At the largest token it can keep it fails with [`StoreErrorKind::TokenExhausted`], and never wraps;
/// * **let a grant acquire again while it is alive**: the same token, the lease extended, never shortened.
///   This is how the engine retries an acquire whose answer was lost;
/// * **remember the last released grant** of a name, and refuse to grant or renew it ever after (until
///   another release takes its place). So an acquire that arrives late revives nothing;
/// * **let a released grant leave the row**: what is left of its lease by `lock_at_least`, or after a revocation, is nobody's. The
///   last released grant is soon another, by an undo, and a holder that still stood in the row could renew again;
/// * **renew only what lives**: the same grant and token, and not expired. A renewal never shortens a lease;
/// * **report `remaining`** with every grant and renewal, as its clock had it when it answered, rounded down;
/// * **keep `lock_at_least`**: a release moves the end of the lease to `max(now, locked_at + lock_at_least)`
///   and not later than it was;
/// * **compare names byte by byte**: [`LockName`] allows everything but NUL;
/// * **answer per item, in the order of the requests**. The engine sends at most
///   [`max_batch`](Capabilities::max_batch) at once, never a name twice in one call, and never none (a call with no requests
///   has no answers, and may ask the server all the same);
/// * **fail with [`StoreError`]** only when it could not find out. Contention is an answer. An error stands for
///   the whole call: each item may or may not have happened, unless
///   [it says](StoreError::took_no_effect) that none did;
/// * **survive a dropped future**: the engine drops a call that takes too long, at any await. The statement may
///   still run on the server, for at most [`request_timeout`](Capabilities::request_timeout) more, as far as the server can be
///   made to end it (a commit that stalls often can't); the connection it ran on must not be used again, unless its protocol can
///   tell answers apart;
/// * **keep what it has begun to open**: where logging in takes longer than a call may, a session that is opened inside of a
///   dropped call has to be there for the next one ([`backend`](crate::backend) has a pool that does this);
/// * **not let renewals and releases wait** behind acquires or behind the application's own use of a pool.
///
/// Run the suite of `golock-conformance` over it: it tests each of these points.
#[async_trait]
pub trait LockStore: fmt::Debug + Send + Sync + 'static {
    /// What this store can do. Asked once, when a locker is built.
    fn capabilities(&self) -> Capabilities;

    /// Grants each name that is free, or says who holds it.
    ///
    /// In one atomic step a name: if `released_grant` is this grant, refuse; if this grant holds the name
    /// and is alive, extend it to at least `now + lease` under the same token; if nobody's lease is alive, grant
    /// it under the next token; else refuse, with the holder.
    ///
    /// # Errors
    /// [`StoreError`] if the outcome could not be learned: each item is then unknown, and the engine either
    /// repeats it (same grant) or undoes it by [`release`](Self::release).
    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError>;

    /// Extends each lease that is alive to at least `now + lease`, or says how it was lost.
    ///
    /// One that can't be extended now, for somebody else has locked its row, may be answered with what remains of it: the engine
    /// then asks again as soon as after a failure.
    ///
    /// # Errors
    /// [`StoreError`] if the outcome could not be learned; the lease then counts from the last confirmed
    /// renewal, and the engine tries again.
    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError>;

    /// Gives each grant back, and remembers it as the last released one, *whatever the row was*: also if the
    /// grant holds nothing, also if there is no row (one is made, free, with a token by the rule). The engine
    /// undoes an acquire of unknown outcome in the same way.
    ///
    /// In one atomic step a name: if the grant was already the last released one, change nothing; else remember
    /// it, and if it holds the name (alive or expired) take it out of the row, so that nobody holds the name, and end the
    /// lease at `min(expires_at, max(now, locked_at + lock_at_least))`.
    ///
    /// # Errors
    /// [`StoreError`] if the outcome could not be learned; the engine tries again.
    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError>;

    /// Gives a grant back as [`release`](Self::release) does and, if it held the name, passes the name on to the next in line of
    /// the same process, in one round trip.
    ///
    /// `next` is granted, under the next token, only if the release was answered by
    /// [`Released`](ReleaseAnswer::Released), has freed the name at once (no `lock_at_least` goes on), **nobody elsewhere
    /// waits** (no note of [`mark_waiting`](Self::mark_waiting) stands) and `next` was not the last released grant before. Else
    /// it is answered by [`Raced`](AcquireAnswer::Raced), and asks for itself. Where no note can be made, it may always be
    /// granted: the engine gives others their turn.
    ///
    /// A store that does not say [`hands_over`](Capabilities::hands_over) is never asked.
    ///
    /// # Errors
    /// [`StoreError`] if the outcome could not be learned: both are unknown then, and are done by themselves.
    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        let answers = self.release(std::slice::from_ref(&request.release)).await?;
        let released = answers.first().copied().unwrap_or(ReleaseAnswer::AlreadyReleased);
        Ok(HandOverAnswer::new(released, AcquireAnswer::Raced))
    }

    /// Notes on each row that somebody waits, until `now + standing` (never shortening an earlier note): while
    /// it stands, a release or forced unlock that ends the lease sooner than it would have ended, at once or when
    /// `lock_at_least` is over, also sends [`Wakeup::Freed`] to every listener: who waits sleeps until the end that it
    /// was told. No row: nothing to note. Only called on stores whose [`wakeups`](Capabilities::wakeups) is `true`.
    ///
    /// # Errors
    /// [`StoreError`]; the engine then waits without being woken.
    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        let _ = requests;
        Ok(())
    }

    /// Starts to listen for freed names, if this store can push: `None` otherwise. The engine asks when the
    /// first caller has to wait, keeps one stream, and asks again (after a pause) when it ends.
    ///
    /// A wake-up is only a hint: one lost costs time, never correctness. By default `None`: a store whose
    /// [`wakeups`](Capabilities::wakeups) is `true` has both this and [`mark_waiting`](Self::mark_waiting), and one that wraps another
    /// passes both on.
    fn wakeups(&self) -> Option<Wakeups> {
        None
    }

    /// What is known of a name. `None` if it is free: never locked, released or expired.
    ///
    /// # Errors
    /// [`StoreError`] if the store could not answer.
    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError>;

    /// One page of the locks that are held, ordered by the bytes of their names. An empty one is the end; names that are free make none
    /// shorter.
    ///
    /// # Errors
    /// [`StoreError`] if the store could not answer.
    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError>;

    /// Fences the holder and forbids its renewal, but lets its lease run out, so that no two holders overlap:
    /// takes the next token, remembers the grant as released and takes it out of the row, leaves `expires_at` as it is. Returns the new
    /// token: a resource that is told of it refuses the old holder at once. `None`: nobody holds the name.
    ///
    /// # Errors
    /// [`StoreError`] if the outcome could not be learned.
    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError>;

    /// Frees the name at once, also from what is left of a `lock_at_least`: as [`revoke`](Self::revoke), but
    /// the lease ends now. The former holder finds out at its next renewal; until then only the token protects.
    ///
    /// # Errors
    /// [`StoreError`] if the outcome could not be learned.
    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError>;

    /// Deletes what is known of names that have been free for `idle_for` or longer, and says how many. Tokens
    /// keep growing all the same, by the rule: a name whose token is not behind the server's clock stays.
    ///
    /// It has more time than other calls, but each of its steps on the server should be short: whoever locks one of the names
    /// must not wait for all of them.
    ///
    /// # Errors
    /// [`StoreError`] if the store could not answer.
    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError>;

    /// What a database administrator runs to prepare this store: its tables and the privileges it needs, as
    /// text in the database's own language. No secret is in it.
    fn schema(&self) -> String;
}

#[async_trait]
impl<S: LockStore + ?Sized> LockStore for Arc<S> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        (**self).acquire(requests).await
    }
    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        (**self).renew(requests).await
    }
    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        (**self).release(requests).await
    }
    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        (**self).hand_over(request).await
    }
    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        (**self).mark_waiting(requests).await
    }
    fn wakeups(&self) -> Option<Wakeups> {
        (**self).wakeups()
    }
    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        (**self).inspect(name).await
    }
    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        (**self).list(request).await
    }
    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        (**self).revoke(name).await
    }
    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        (**self).force_unlock(name).await
    }
    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        (**self).purge(idle_for).await
    }
    fn schema(&self) -> String {
        (**self).schema()
    }
}
