//! Setting up a locker.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::engine::{Calls, Env, Group, Keeper, Telemetry};
use crate::{LockName, LockStore, Locker};

/// Sets up a [`Locker`].
#[must_use = "a builder does nothing until it is built"]
pub struct LockerBuilder {
    store: Arc<dyn LockStore>,
    margin: f64,
    group: Arc<Group>,
    env: Option<Env>,
}

impl LockerBuilder {
    /// The share of a lease that is kept as a margin when nothing else is said: 1 %.
    pub const DEFAULT_MARGIN: f64 = 0.01;
    /// The group of every name when nothing else is said.
    pub const DEFAULT_GROUP: &'static str = "all";

    pub(crate) fn new(store: Arc<dyn LockStore>) -> Self {
        let group = Arc::new(|_: &LockName| Cow::Borrowed(Self::DEFAULT_GROUP));
        Self { store, margin: Self::DEFAULT_MARGIN, group, env: None }
    }

    /// How much earlier than its lease ends a lock counts as lost, as a share of the lease (0.01: 1 %; never less
    /// than 1 ms). It covers how far the rates of this machine's and the server's clock may differ. Kept within
    /// 0 to 0.5.
    pub fn margin(mut self, share: f64) -> Self {
        self.margin = if share.is_finite() { share.clamp(0.0, 0.5) } else { Self::DEFAULT_MARGIN };
        self
    }

    /// What spans and metrics group locks by: a function of the name that has few values. Default: all names are one
    /// group, `all`. Each value is a time series of its own for as long as the process lives, and names are often made of
    /// what a user sent: so nothing of a name is told unless this says which part of it is safe.
    ///
    /// ```
    /// # use golock_core::{Locker, MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// // "report:2026-11" and "report:2026-12" are both "report".
    /// let locker = Locker::builder(MemoryStore::new())
    ///     .group(|name| match name.as_str().split_once(':') {
    ///         Some(("report", _)) => "report",
    ///         Some(("import", _)) => "import",
    ///         _ => "other",
    ///     })
    ///     .build();
    /// # drop(locker);
    /// # }
    /// ```
    pub fn group<G: Into<Cow<'static, str>>>(
        mut self,
        group: impl Fn(&LockName) -> G + Send + Sync + 'static,
    ) -> Self {
        self.group = Arc::new(move |name| group(name).into());
        self
    }

    /// Another clock and other randomness, for simulations.
    #[doc(hidden)]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Starts the locker's keeper on the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`] does.
    pub fn build(self) -> Locker {
        let env = self.env.unwrap_or_else(Env::system);
        let capabilities = self.store.capabilities();
        let limit = capabilities.request_timeout;
        let telemetry = Telemetry::new(capabilities.backend, self.group);
        let calls = Calls { store: self.store, capabilities, clock: env.clock.clone(), limit, telemetry };
        let (commands, inbox) = mpsc::unbounded_channel();
        tokio::spawn(Keeper::new(calls.clone(), env, self.margin, commands.downgrade()).run(inbox));
        Locker::over(commands, calls)
    }
}

impl fmt::Debug for LockerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockerBuilder").field("store", &self.store).finish_non_exhaustive()
    }
}
