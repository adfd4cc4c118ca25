//! What is measured: golock, its peers, and what one would write by hand, behind one interface.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a lock is taken for, whoever takes it, where renewals are not the point: no measurement lasts as long.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// How long those that must ask again and again sleep in between, where they leave it to their user.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// One way to lock names on one database, as one process would use it.
#[async_trait]
pub(crate) trait Contender: Send + Sync {
    /// A client for one task. What a process would share (connections, a listener) is shared by all clients.
    async fn client(&self) -> Result<Box<dyn Client>, BoxError>;

    /// Locks a name and keeps it renewed, where the [entry](Entry::renews) says that it can.
    async fn renewed(&self, name: &str) -> Result<Box<dyn Renewed>, BoxError> {
        Err(format!("nothing here would renew {name:?}").into())
    }
}

/// What one task locks with, one name at a time.
#[async_trait]
pub(crate) trait Client: Send {
    /// Locks `name`, however long that takes.
    async fn lock(&mut self, name: &str) -> Result<(), BoxError>;

    /// Gives back what was locked, and waits until that is confirmed.
    async fn unlock(&mut self) -> Result<(), BoxError>;
}

/// A lock that is renewed in the background.
#[async_trait]
pub(crate) trait Renewed: Send {
    fn is_held(&self) -> bool;

    async fn release(self: Box<Self>) -> Result<(), BoxError>;
}

/// A contender, not yet opened.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) label: &'static str,
    pub(crate) role: Role,
    /// Whether [`Contender::renewed`] is there.
    pub(crate) renews: bool,
    pub(crate) open: fn(Place) -> Opening,
}

pub(crate) type Opening = BoxFuture<'static, Result<Arc<dyn Contender>, BoxError>>;

impl Entry {
    pub(crate) const fn new(label: &'static str, role: Role, open: fn(Place) -> Opening) -> Self {
        Self { label, role, renews: false, open }
    }

    pub(crate) const fn renewing(self) -> Self {
        Self { renews: true, ..self }
    }
}

/// What a contender is there for, and so in which workloads it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Golock,
    /// The bare statement, without token, refusal or listener.
    Floor,
    /// The bare statement with one thing changed, to show what that thing is worth.
    Variant,
    /// A row or key, and a push when it is freed: written by hand, without care for crashes.
    Push,
    /// The queue that the database has by itself: a session lock, a connection each.
    Native,
    /// Another crate.
    Peer,
}

impl Role {
    /// Runs where every task has a name of its own.
    pub(crate) fn has_own_names(self) -> bool {
        matches!(self, Self::Golock | Self::Floor | Self::Variant | Self::Peer)
    }

    /// Runs where tasks wait for one another.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Golock | Self::Push | Self::Native | Self::Peer)
    }
}

/// Where a contender is to work, and how much it has to prepare for.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    /// How many clients there will be, for those that need a connection each.
    pub(crate) tasks: usize,
    /// The table, prefix or collection of golock's, so that one database has room for several.
    pub(crate) space: String,
    pub(crate) lease: Duration,
}

impl Place {
    pub(crate) fn new(url: &str, tasks: usize) -> Self {
        Self { url: url.to_owned(), tasks, space: "golock".to_owned(), lease: LEASE }
    }

    pub(crate) fn in_space(self, space: &str) -> Self {
        Self { space: space.to_owned(), ..self }
    }

    pub(crate) fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }
}
