//! What the engine tells of itself: spans around what callers ask for and around calls of the store, and, with the feature
//! `metrics`, what `crate::metrics` lists. The events stand where things happen.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use tracing::{Span, debug_span, field};

use super::env::{Clock, Tick};
use super::lease::Lease;
use crate::store::{Operation, StoreError};
use crate::{Error, Lock, LockName, LostReason};

#[cfg(feature = "metrics")]
use crate::metrics as meter;

/// What tells of one store's locks.
#[derive(Clone)]
pub(crate) struct Telemetry {
    backend: &'static str,
    group: Arc<Group>,
}

/// The group of a name.
pub(crate) type Group = dyn Fn(&LockName) -> Cow<'static, str> + Send + Sync;

/// What is told of some locks together.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) backend: &'static str,
    pub(crate) group: Cow<'static, str>,
}

impl Telemetry {
    pub(crate) fn new(backend: &'static str, group: Arc<Group>) -> Self {
        meter::describe();
        Self { backend, group }
    }

    /// A caller asks for a lock. Whatever the caller's own function for groups does, it does it here, in the caller's task.
    pub(crate) fn asked(&self, name: &LockName, clock: &Clock) -> Asked {
        let series = Series { backend: self.backend, group: (self.group)(name) };
        meter::asked(&series);
        let (backend, group) = (series.backend, &*series.group);
        let span = debug_span!("golock.lock", backend, group, lock = name.as_str(), token = field::Empty);
        Asked { series, span, clock: clock.clone(), since: clock.now() }
    }

    /// A lock is held from now on.
    pub(super) fn holds(&self, series: Series, now: Tick) -> Held {
        meter::holds(&series);
        Held { series, since: now }
    }

    /// Around a call of the store.
    pub(super) fn calling(&self, operation: Operation) -> Span {
        debug_span!("golock.call", backend = self.backend, operation = operation.as_str())
    }

    /// Around an operator's call.
    pub(crate) fn operating(&self, operation: Operation, name: Option<&LockName>) -> Span {
        let lock = name.map(LockName::as_str);
        debug_span!("golock.operate", backend = self.backend, operation = operation.as_str(), lock)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// What came of a call of the store.
pub(super) fn watched<T>(outcome: Result<T, StoreError>) -> Result<T, StoreError> {
    outcome.inspect_err(meter::failed)
}

/// A caller that waits for its answer; it may go away without.
pub(crate) struct Asked {
    series: Series,
    span: Span,
    clock: Clock,
    since: Tick,
}

impl Asked {
    pub(crate) fn series(&self) -> &Series {
        &self.series
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn answered(self, answer: &Result<Lock, Error>) {
        match answer {
            Ok(lock) => {
                self.span.record("token", lock.token().get());
                meter::granted(&self.series, self.clock.now().since(self.since));
            }
            Err(error) if error.is_held() => meter::refused(&self.series),
            Err(_) => {}
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        meter::answered(&self.series);
    }
}

/// A lock that is held, as it is told of.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) series: Series,
    pub(super) since: Tick,
}

impl Held {
    pub(super) fn renewed(&self) {
        meter::renewed(&self.series);
    }

    pub(super) fn given_back(&self, now: Tick) {
        meter::ended(&self.series, now.since(self.since));
    }

    pub(super) fn lost(&self, now: Tick, reason: LostReason) {
        meter::ended(&self.series, now.since(self.since));
        meter::lost(&self.series, reason);
    }

    /// Before it was given back, which was told already.
    pub(super) fn had_been_lost(&self, reason: LostReason) {
        meter::lost(&self.series, reason);
    }
}

/// Around [`Lock::extend`].
pub(crate) fn extending(lease: &Lease) -> Span {
    let Series { backend, group } = &lease.held.series;
    debug_span!(
        "golock.extend",
        backend,
        group = &**group,
        lock = lease.name.as_str(),
        token = lease.token.get()
    )
}

/// Around [`Lock::unlock`].
pub(crate) fn unlocking(lease: &Lease) -> Span {
    let Series { backend, group } = &lease.held.series;
    debug_span!(
        "golock.unlock",
        backend,
        group = &**group,
        lock = lease.name.as_str(),
        token = lease.token.get()
    )
}

/// Without the feature nothing is counted.
#[cfg(not(feature = "metrics"))]
mod meter {
    use std::time::Duration;

    use super::{LostReason, Series, StoreError};

    pub(super) fn describe() {}
    pub(super) fn asked(_: &Series) {}
    pub(super) fn answered(_: &Series) {}
    pub(super) fn granted(_: &Series, _: Duration) {}
    pub(super) fn refused(_: &Series) {}
    pub(super) fn holds(_: &Series) {}
    pub(super) fn renewed(_: &Series) {}
    pub(super) fn ended(_: &Series, _: Duration) {}
    pub(super) fn lost(_: &Series, _: LostReason) {}
    pub(super) fn failed(_: &StoreError) {}
}
