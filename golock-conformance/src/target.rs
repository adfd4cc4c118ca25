//! A server that is to be tested: how it is opened, once, for whatever looks at it.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use libtest_mimic::{Completion, Failed};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

use crate::fixture::Fixture;

/// A server whose cases the runner shows under an id.
pub struct Target {
    id: String,
    open: BoxFuture<'static, Result<Opened, Unopened>>,
}

/// A server that can be tested.
pub struct Opened {
    fixture: Arc<dyn Fixture>,
    close: Option<BoxFuture<'static, ()>>,
}

/// Why there is no server.
#[derive(Clone, Debug)]
pub enum Unopened {
    /// None could be found: its cases are ignored, for this reason, unless `GOLOCK_REQUIRE` lists it.
    Missing(String),
    /// There is one, but it can't be used: its cases fail, for this reason.
    Broken(String),
}

impl Unopened {
    /// The reason to ignore a test of the server `id` with.
    ///
    /// # Errors
    /// The reason to fail it with: the server can't be used, or `GOLOCK_REQUIRE` lists it.
    pub fn excuse(self, id: &str) -> Result<String, String> {
        let required =
            std::env::var("GOLOCK_REQUIRE").is_ok_and(|ids| ids.split(',').any(|one| one.trim() == id));
        match self {
            Self::Missing(reason) if !required => Ok(reason),
            Self::Missing(reason) => Err(format!("{reason} (and GOLOCK_REQUIRE lists {id})")),
            Self::Broken(reason) => Err(reason),
        }
    }
}

impl Target {
    /// A server that is open already.
    pub fn new(fixture: impl Fixture) -> Self {
        let id = fixture.name().to_owned();
        Self::lazy(id, async { Ok(Opened::new(fixture)) })
    }

    /// A server that is opened if one of its cases is to run, and closed when all have.
    pub fn lazy(
        id: impl Into<String>,
        open: impl Future<Output = Result<Opened, Unopened>> + Send + 'static,
    ) -> Self {
        Self { id: id.into(), open: open.boxed() }
    }

    /// The same server, with a clock that can be set if it is started here.
    #[cfg(feature = "testcontainers")]
    pub(crate) fn with_settable_clock(self) -> Self {
        Self { open: crate::servers::with_settable_clocks(self.open).boxed(), ..self }
    }

    /// No server is started here.
    #[cfg(not(feature = "testcontainers"))]
    pub(crate) fn with_settable_clock(self) -> Self {
        self
    }

    /// What its results are shown under.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens it, for a test of one's own. [`Opened::close`] is then one's own to call.
    ///
    /// # Errors
    /// Why there is no server, or none that can be used.
    pub async fn open(self) -> Result<Opened, Unopened> {
        self.open.await
    }
}

impl Opened {
    /// A server that needs no closing.
    pub fn new(fixture: impl Fixture) -> Self {
        Self { fixture: Arc::new(fixture), close: None }
    }

    /// What to do when all cases have ended: remove a container.
    #[must_use]
    pub fn closing_with(mut self, close: impl Future<Output = ()> + Send + 'static) -> Self {
        self.close = Some(close.boxed());
        self
    }

    /// The fixture.
    pub fn fixture(&self) -> &Arc<dyn Fixture> {
        &self.fixture
    }

    /// Closes it: removes its container.
    pub async fn close(self) {
        if let Some(close) = self.close {
            close.await;
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("fixture", &self.fixture.name()).finish_non_exhaustive()
    }
}

/// A target while it is tested.
#[derive(Clone)]
pub(crate) struct Slot {
    id: String,
    opening: Shared<BoxFuture<'static, Result<Arc<dyn Fixture>, Unopened>>>,
    /// What harms the server has it for itself.
    pub(crate) gate: Arc<RwLock<()>>,
}

impl Slot {
    /// Begins to open the target, unless nothing of it is wanted; and what closes it.
    pub(crate) fn new(
        target: Target,
        runtime: &Runtime,
        wanted: bool,
    ) -> (Self, Option<BoxFuture<'static, ()>>) {
        let Target { id, open } = target;
        if !wanted {
            drop(open);
            let never = async { Err(Unopened::Missing("nothing of it was to run".to_owned())) };
            return (Self { id, opening: never.boxed().shared(), gate: Arc::default() }, None);
        }
        let (send_close, close) = tokio::sync::oneshot::channel();
        let task = runtime.spawn(async move {
            let opened = open.await?;
            // The receiver lives until the end of the run.
            let _ = send_close.send(opened.close);
            Ok(opened.fixture)
        });
        let opening =
            task.map(|ended| ended.unwrap_or_else(|error| Err(Unopened::Broken(error.to_string()))));
        let close = async move {
            if let Ok(Some(close)) = close.await {
                close.await;
            }
        };
        (Self { id, opening: opening.boxed().shared(), gate: Arc::default() }, Some(close.boxed()))
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The fixture, or how a trial ends that has none.
    pub(crate) async fn fixture(&self) -> Result<Result<Arc<dyn Fixture>, Completion>, Failed> {
        match self.opening.clone().await {
            Ok(fixture) => Ok(Ok(fixture)),
            Err(why) => Ok(Err(Completion::ignored_with(why.excuse(&self.id)?))),
        }
    }
}
