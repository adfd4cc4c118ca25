//! A backend's own sessions with its server: a pool for each purpose, never the application's.

mod openings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolConfig, PoolError, QueueMode, RecycleError, RecycleResult,
};
use tokio::time::Instant;

use self::openings::Openings;
use super::connected_within;
use crate::store::{Operation, StoreError, StoreErrorKind};

/// A call that was given up sooner tells nothing of the server: it may have waited for a row that somebody has locked.
const SILENCE: Duration = Duration::from_secs(1);

/// How a backend opens its sessions, and what the failures of its driver mean for them.
pub trait Opener: Send + Sync + 'static {
    /// What is opened: a connection, told all that golock's statements rest on.
    type Session: Send + 'static;
    /// What a call on it fails with.
    type Error: Send;
    /// How errors name the backend.
    const BACKEND: &'static str;

    /// Opens a session.
    ///
    /// # Errors
    /// What the server or its network say against it. If that is [`StoreErrorKind::Conflict`], it is tried once more, as a call is.
    ///
    /// # Cancel safety
    /// [`Sessions`] drops the future when it takes too long, or when it is dropped itself: what was opened has to be closed with it.
    fn open(&self) -> impl Future<Output = Result<Self::Session, StoreError>> + Send;

    /// Nothing is known of its having ended: asked before each use, so it costs no round trip.
    fn is_open(session: &Self::Session) -> bool;

    /// A call that failed.
    fn failed(operation: Operation, error: Self::Error) -> StoreError;

    /// The server answered the call with an error, and that is all: the next call on this session is answered by its own answer,
    /// and has a better chance on no other.
    fn leaves_usable(error: &Self::Error) -> bool;

    /// The server took the call back for another's sake, and it may be made again at once.
    fn is_worth_another_try(error: &Self::Error) -> bool;
}

/// Sessions for one purpose: whoever needs one waits only for others with the same purpose.
///
/// They are opened when they are needed. A session that is opened inside of a call would be lost with it where the engine drops a
/// call that takes too long, to try again while there is time: where logging in takes longer than that, none would ever be served.
/// So an opening whose caller is gone goes on, in a task of its own, and the next caller takes it over. Sessions and openings
/// together are never more than there may be. Dropping this ends them, but for those in use.
///
/// ```
/// # use std::time::Duration;
/// use golock_core::backend::sessions::{Opener, Sessions};
/// use golock_core::store::{Operation, StoreError, StoreErrorKind};
///
/// # struct Connection;
/// # #[derive(Debug)] struct DriverError;
/// # impl std::fmt::Display for DriverError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("failed") }
/// # }
/// # impl std::error::Error for DriverError {}
/// # impl Connection {
/// #     fn is_closed(&self) -> bool { false }
/// #     async fn count(&mut self, sql: &str) -> Result<usize, DriverError> { Ok(sql.len()) }
/// # }
/// # async fn connect(host: &str) -> Result<Connection, DriverError> { Ok(Connection) }
/// struct Server {
///     host: String,
/// }
///
/// impl Opener for Server {
///     type Session = Connection;
///     type Error = DriverError;
///     const BACKEND: &'static str = "mine";
///
///     async fn open(&self) -> Result<Connection, StoreError> {
///         connect(&self.host).await.map_err(|error| Self::failed(Operation::Connect, error))
///     }
///
///     fn is_open(session: &Connection) -> bool {
///         !session.is_closed()
///     }
///
///     fn failed(operation: Operation, error: DriverError) -> StoreError {
///         StoreError::new(Self::BACKEND, operation, StoreErrorKind::Connection, error)
///     }
///
///     fn leaves_usable(_: &DriverError) -> bool {
///         false
///     }
///
///     fn is_worth_another_try(_: &DriverError) -> bool {
///         false
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// let sessions = Sessions::new(Server { host: "localhost".into() }, 4, Duration::from_secs(5));
/// let purged = sessions
///     .call(Operation::Purge, async |connection| connection.count("DELETE …").await)
///     .await?;
/// # assert!(purged > 0);
/// # Ok(())
/// # }
/// ```
pub struct Sessions<O: Opener> {
    pool: Pool<Opening<O>>,
    /// Those that make room for these.
    others: Option<Pool<Opening<O>>>,
}

impl<O: Opener> Sessions<O> {
    /// At most so many, and at least one. Opening one may take so long.
    pub fn new(opener: O, at_most: usize, within: Duration) -> Self {
        let opening = Opening { opener: Arc::new(opener), within, openings: Openings::default() };
        // The session used last is the one whose statements are prepared, and the least likely to have been closed meanwhile.
        let config = PoolConfig { queue_mode: QueueMode::Lifo, ..PoolConfig::new(at_most.max(1)) };
        match Pool::builder(opening).config(config).build() {
            Ok(pool) => Self { pool, others: None },
            Err(error) => unreachable!("without timeouts no runtime is asked for: {error}"),
        }
    }

    /// Where the server has no room for one of these, an idle one of `others` is closed for it: what is held must not be lost because
    /// acquires have taken all connections that there may be. What is opened in its place is closed after its use, so that they may have it
    /// back.
    #[must_use]
    pub fn preferred_to(self, others: &Self) -> Self {
        Self { others: Some(others.pool.clone()), ..self }
    }

    /// A session, of which nobody else has the use until it is dropped: one that is open, else a new one.
    ///
    /// # Errors
    /// What [`Opener::open`] fails with, and [`StoreErrorKind::Timeout`] if it took too long.
    ///
    /// # Cancel safety
    /// Dropping the future leaves an opening that is under way to the next caller.
    ///
    /// # Panics
    /// If opening does, and outside of a tokio runtime.
    pub async fn session(&self) -> Result<InUse<O>, StoreError> {
        let (mut got, mut lent) = (self.pool.get().await, false);
        if let (Err(PoolError::Backend(error)), Some(others)) = (&got, &self.others)
            && error.kind() == StoreErrorKind::Unavailable
        {
            make_room(others);
            (got, lent) = (self.pool.get().await, true);
        }
        match got {
            Ok(opened) => Ok(InUse { opened: Some(opened), fit: true, lent, unanswered: None }),
            Err(PoolError::Backend(error)) => Err(error),
            Err(error) => {
                let why = error.to_string();
                Err(StoreError::new(O::BACKEND, Operation::Connect, StoreErrorKind::Other, why))
            }
        }
    }

    /// Makes one call, on a session: see [`InUse::call`].
    ///
    /// # Errors
    /// Those of [`session`](Self::session), and of the call.
    ///
    /// # Cancel safety
    /// Dropping the future closes the session that the call was made on.
    ///
    /// # Panics
    /// As [`session`](Self::session).
    pub async fn call<T>(
        &self,
        operation: Operation,
        call: impl AsyncFnOnce(&mut O::Session) -> Result<T, O::Error> + Clone,
    ) -> Result<T, StoreError> {
        self.session().await?.call(operation, call).await
    }

    /// Closes those that are open and that nobody uses.
    pub fn close_idle(&self) {
        self.pool.retain(|_, _| false);
        self.pool.manager().openings.close_left_behind();
    }
}

/// Closes one that is idle, if there is one; else what nobody waits for.
fn make_room<O: Opener>(pool: &Pool<Opening<O>>) {
    let mut closed = false;
    pool.retain(|_, _| std::mem::replace(&mut closed, true));
    if !closed {
        pool.manager().openings.close_left_behind();
    }
}

impl<O: Opener> fmt::Debug for Sessions<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("backend", &O::BACKEND).finish_non_exhaustive()
    }
}

/// A session in use. It goes back to its pool only if each of its calls was answered: one whose call was dropped on the way, or
/// failed in a way that may have left something of its answer behind, is closed, so that nobody is given another's answer. The
/// server then ends what it still does for it.
#[must_use = "dropping it gives the session back"]
pub struct InUse<O: Opener> {
    opened: Option<Object<Opening<O>>>,
    fit: bool,
    /// It has the place of another, which it gives back.
    lent: bool,
    /// Since when a call is without an answer.
    unanswered: Option<Instant>,
}

impl<O: Opener> InUse<O> {
    /// Makes a call, and once more if the server took it back for another's sake: so it has to be `Clone`.
    ///
    /// # Errors
    /// The call's. After one that leaves nothing usable, every call fails with [`StoreErrorKind::Connection`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the session useless: it is closed when this is dropped.
    pub async fn call<T>(
        &mut self,
        operation: Operation,
        call: impl AsyncFnOnce(&mut O::Session) -> Result<T, O::Error> + Clone,
    ) -> Result<T, StoreError> {
        let Some(opened) = self.opened.as_deref_mut().filter(|_| self.fit) else {
            let why = "the session was given up";
            return Err(StoreError::new(O::BACKEND, operation, StoreErrorKind::Connection, why));
        };
        self.fit = false;
        self.unanswered = Some(Instant::now());
        let outcome = match call.clone()(&mut opened.session).await {
            Err(error) if O::is_worth_another_try(&error) => call(&mut opened.session).await,
            outcome => outcome,
        };
        self.unanswered = None;
        self.fit = outcome.as_ref().err().is_none_or(O::leaves_usable);
        opened.answered = Instant::now();
        outcome.map_err(|error| O::failed(operation, error))
    }

    /// It has been open, and unused, for a while before: the server may have ended it meanwhile without its having shown.
    pub fn was_idle(&self) -> bool {
        self.opened
            .as_ref()
            .is_some_and(|opened| opened.was_left_behind || Object::metrics(opened).recycle_count > 0)
    }
}

impl<O: Opener> Drop for InUse<O> {
    fn drop(&mut self) {
        let Some(opened) = self.opened.take().filter(|_| !self.fit || self.lent) else { return };
        // Where the server or the way to it is gone, and nobody said so, it is gone for the others as well: each of them would cost
        // a caller all its time. One that was answered meanwhile is well.
        let silent = self.unanswered.filter(|since| since.elapsed() >= SILENCE);
        if let (Some(since), Some(pool)) = (silent, Object::pool(&opened)) {
            pool.retain(|other, _| other.answered > since);
            pool.manager().openings.close_left_behind();
        }
        drop(Object::take(opened));
    }
}

impl<O: Opener> fmt::Debug for InUse<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUse").field("backend", &O::BACKEND).field("fit", &self.fit).finish_non_exhaustive()
    }
}

/// A session that the pool keeps.
struct Opened<S> {
    session: S,
    /// Whoever had it opened did not wait for it.
    was_left_behind: bool,
    /// When it was opened, or a call on it was answered last.
    answered: Instant,
}

/// Opens sessions for a pool.
struct Opening<O: Opener> {
    opener: Arc<O>,
    within: Duration,
    openings: Openings<Opened<O::Session>, StoreError>,
}

impl<O: Opener> Manager for Opening<O> {
    type Type = Opened<O::Session>;
    type Error = StoreError;

    async fn create(&self) -> Result<Self::Type, StoreError> {
        let (opener, within) = (Arc::clone(&self.opener), self.within);
        let opening = async move {
            let opened = async {
                match opener.open().await {
                    Err(error) if error.kind() == StoreErrorKind::Conflict => opener.open().await,
                    outcome => outcome,
                }
            };
            // Some drivers' futures are so large that, passed through the callers' frames, they would fill a debug build's stack.
            let why = "no session within the request timeout";
            let session = connected_within(within, O::BACKEND, why, Box::pin(opened)).await?;
            Ok(Opened { session, was_left_behind: false, answered: Instant::now() })
        };
        let fits = |left_behind: &mut Self::Type| {
            left_behind.was_left_behind = true;
            O::is_open(&left_behind.session)
        };
        self.openings.session(fits, opening).await
    }

    async fn recycle(&self, opened: &mut Self::Type, _: &Metrics) -> RecycleResult<StoreError> {
        if O::is_open(&opened.session) { Ok(()) } else { Err(RecycleError::message("closed")) }
    }
}
