//! Servers to test against: one that the environment names, else one in a container, started here.
//!
//! For each server `X` of the table: `GOLOCK_TEST_X_URL` names a running one; `GOLOCK_TEST_X_IMAGE` an image to start
//! instead of the public one. If neither can be had its cases are ignored, with the reason, unless `GOLOCK_REQUIRE`
//! lists `X`. `GOLOCK_SERVERS`, if it is set, lists those to test at all.

mod clock;
mod container;
mod main;
mod table;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{self, Instant};

pub(crate) use self::clock::with_settable_clocks;
use self::container::Container;
pub use self::main::{Test, main};
use self::table::Kind;
pub use self::url::{url_as, url_at};
pub use crate::__server_tests as tests;
use crate::context::chain;
use crate::fixture::{Ability, BoxError, Clock, Fixture, Pause, Processes, Restart};
use crate::target::{Opened, Target, Unopened};

/// A name that nothing else has, in this run or another: `role_3f09ab12_17`.
pub fn unique(what: &str) -> String {
    format!("{what}_{}", crate::context::unique())
}

/// The server `id` of the table as a target of [`main`](crate::main) and of [`faults::main`](crate::faults::main): opened when the first of its cases is to run,
/// its container removed when all have ended.
///
/// `ready` is given the server's URL and makes one real request, that shows that it answers; it is repeated until it
/// succeeds. `fixture` makes the fixture.
///
/// # Panics
/// If the table has no such server.
pub fn target<F, Ready>(
    id: &'static str,
    ready: impl Fn(String) -> Ready + Send + Sync + 'static,
    fixture: impl FnOnce(Server) -> F + Send + 'static,
) -> Target
where
    F: Fixture,
    Ready: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let kind = Kind::of(id);
    let ready: Probe = Arc::new(move |url| ready(url).boxed());
    Target::lazy(id, async move {
        let server = Server::found(kind, &Changes::default(), ready).await?;
        let container = server.container.clone();
        let opened = Opened::new(fixture(server));
        Ok(match container {
            Some(container) => opened.closing_with(async move { container.remove().await }),
            None => opened,
        })
    })
}

/// A running server. For a fixture it does [`Restart`], [`Pause`] and [`Processes`].
#[derive(Clone)]
pub struct Server {
    kind: &'static Kind,
    url: String,
    container: Option<Arc<Container>>,
    ready: Probe,
}

/// What is different about a server that somebody has for himself.
#[derive(Debug, Default)]
pub struct Changes {
    /// The command, in place of the table's; empty: the table's.
    pub command: Vec<String>,
    /// Files that it finds, by their paths.
    pub files: Vec<(String, String)>,
}

type Probe = Arc<dyn Fn(String) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

impl Server {
    /// The server `id` of the table: one that the environment names, else one in a container of the caller's own, with
    /// these changes; it is ready when `ready` succeeds, as in [`target`]. [`remove`](Self::remove) it in the end.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Panics
    /// If the table has no such server.
    pub async fn open<Ready>(
        id: &'static str,
        changes: Changes,
        ready: impl Fn(String) -> Ready + Send + Sync + 'static,
    ) -> Result<Self, Unopened>
    where
        Ready: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self::found(Kind::of(id), &changes, Arc::new(move |url| ready(url).boxed())).await
    }

    /// As [`open`](Self::open), but always in a container of its own.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Panics
    /// If the table has no such server.
    pub async fn alone<Ready>(
        id: &'static str,
        changes: Changes,
        ready: impl Fn(String) -> Ready + Send + Sync + 'static,
    ) -> Result<Self, Unopened>
    where
        Ready: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self::contained(Kind::of(id), &changes, Arc::new(move |url| ready(url).boxed())).await
    }

    /// Removes its container, if it is in one that was started here.
    pub async fn remove(&self) {
        if let Some(container) = &self.container {
            container.remove().await;
        }
    }

    /// Its id in the table.
    pub fn id(&self) -> &'static str {
        self.kind.id
    }

    /// Where and as whom to connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `host:port` of the URL.
    pub fn address(&self) -> String {
        url::address(&self.url, self.kind.port)
    }

    /// Whether it can be killed and started, or paused: not so if a URL named it.
    ///
    /// # Errors
    /// Why not.
    pub fn can_restart(&self) -> Result<(), &'static str> {
        self.container().map(drop)
    }

    /// The address at which other containers reach it, if it is in one.
    ///
    /// # Errors
    /// If it is [not ours](Self::can_restart), or the container engine does not tell.
    pub async fn host(&self) -> Result<String, BoxError> {
        self.container()?.address().await
    }

    /// Its clock, if it can be set: in runs of faults, of servers started here with libfaketime. `GOLOCK_TEST_CLOCK=-3600` starts every
    /// server with one that is an hour behind, or none.
    ///
    /// # Errors
    /// Why it can't be set.
    pub fn clock(&self) -> Ability<&dyn Clock> {
        let Some(container) = self.container.as_deref() else {
            return Err("the server was named by a URL, and its clock is not ours to set");
        };
        container.clock.map(|()| container as _)
    }

    fn container(&self) -> Result<&Container, &'static str> {
        self.container.as_deref().ok_or("the server was named by a URL, and is not ours to kill")
    }

    async fn found(kind: &'static Kind, changes: &Changes, ready: Probe) -> Result<Self, Unopened> {
        if let Some(url) = kind.given_url() {
            let server = Self { kind, url, container: None, ready };
            return match server.until_ready().await {
                Ok(()) => Ok(server),
                Err(error) => Err(Unopened::Broken(format!(
                    "no answer from the server of {}: {error}",
                    kind.url_variable()
                ))),
            };
        }
        Self::contained(kind, changes, ready).await
    }

    async fn contained(kind: &'static Kind, changes: &Changes, ready: Probe) -> Result<Self, Unopened> {
        if kind.is_left_out() {
            return Err(Unopened::Missing(format!("GOLOCK_SERVERS does not list {}", kind.id)));
        }
        let (container, address) = Container::start(kind, changes).await.map_err(Unopened::Missing)?;
        let url = kind.url.replace("{address}", &address);
        let server = Self { kind, url, container: Some(Arc::new(container)), ready };
        match server.until_ready().await {
            Ok(()) => Ok(server),
            Err(error) => {
                server.remove().await;
                Err(Unopened::Broken(format!("the container of {} never answered: {error}", kind.id)))
            }
        }
    }

    async fn until_ready(&self) -> Result<(), BoxError> {
        let end = Instant::now() + READY_WITHIN;
        loop {
            let last = match time::timeout(ONE_PROBE, (self.ready)(self.url.clone())).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => chain(&*error),
                Err(_) => format!("no answer within {ONE_PROBE:?}"),
            };
            if Instant::now() >= end {
                return Err(last.into());
            }
            time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[async_trait]
impl Restart for Server {
    async fn restart(&self) -> Result<(), BoxError> {
        self.container()?.kill_and_start().await?;
        self.until_ready().await
    }
}

#[async_trait]
impl Pause for Server {
    async fn pause(&self) -> Result<(), BoxError> {
        self.container()?.pause().await
    }

    async fn unpause(&self) -> Result<(), BoxError> {
        self.container()?.unpause().await
    }
}

impl Processes for Server {
    fn environment(&self) -> Vec<(String, String)> {
        vec![(self.kind.url_variable(), self.url.clone())]
    }
}

impl AsRef<Server> for Server {
    fn as_ref(&self) -> &Server {
        self
    }
}

impl fmt::Debug for Server {
    /// Without the URL, which has a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.kind.id)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

const READY_WITHIN: Duration = Duration::from_secs(60);
const ONE_PROBE: Duration = Duration::from_secs(5);
