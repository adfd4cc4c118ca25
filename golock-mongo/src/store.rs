//! The store: each operation is one command, in one round trip; a purge is two a page, and what takes a lock from its holder two.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use golock_core::backend::{Record, each_by_itself, page_by_page};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, ListRequest, LockInfo,
    LockStore, MarkRequest, Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, StoreError,
    StoreErrorKind, Wakeups,
};
use golock_core::{FencingToken, LockName, async_trait};
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;

use crate::answers::{acquired, fenced, handed_over, record};
use crate::builder::MongoStoreBuilder;
use crate::error::{BACKEND, failure};
use crate::renewals::MAX_BATCH;
use crate::schema;
use crate::session::{Change, Session, simple_collation};
use crate::statements::{MAX_TOKEN, Statements};
use crate::wakeups;

/// How many names a purge looks at in one command.
const PURGE_PAGE: u32 = 10_000;

/// How often a lock is looked at that is to be taken from its holder, and has another by then.
const FENCES: usize = 4;

/// Locks in a collection of MongoDB.
///
/// A [`Locker`](golock_core::Locker) is what locks; this is what it is built on. The crate's page says what is
/// promised, and what it costs.
pub struct MongoStore {
    pub(crate) session: Session,
    pub(crate) statements: Statements,
}

impl MongoStore {
    /// A store over the collection `golock` of `database`, by a client of its own with the application's options:
    /// see [`MongoStoreBuilder::build`] for why it takes no [`Client`](mongodb::Client).
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened. Nothing was written.
    pub async fn new(options: ClientOptions, database: &str) -> Result<Self, StoreError> {
        Self::builder().database(database).build(options).await
    }

    /// A store over the collection `golock` of the servers at `url`: see [`MongoStoreBuilder::connect`].
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened. Nothing was written.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Sets up a store: database, collection, timeout.
    pub fn builder() -> MongoStoreBuilder {
        MongoStoreBuilder::new()
    }

    /// Opens a connection, if that is not done yet, and looks whether locks can be had: so that what is wrong is told at once. The
    /// first call of a lock does the same. By itself it takes twice the request timeout at most, besides looking up the host of a
    /// `mongodb+srv` URL and finding out that a server speaks no TLS.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the rest to the first call. Nothing was written.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.session.server().own().await.map(drop)
    }

    pub(crate) fn over(session: Session) -> Result<Self, StoreError> {
        Ok(Self { session, statements: Statements::load()? })
    }

    async fn acquire_one(&self, request: &AcquireRequest) -> Result<AcquireAnswer, StoreError> {
        let change = Change::of(Operation::Acquire, &request.name, self.statements.acquire(request));
        acquired(self.session.change(&change).await?.as_ref(), request)
    }

    async fn release_one(&self, request: &ReleaseRequest) -> Result<ReleaseAnswer, StoreError> {
        let change = Change::of(Operation::Release, &request.name, self.statements.release(request));
        // As it was before.
        let found = self.session.change(&change).await?;
        Ok(Record::released(record(found.as_ref()), request.grant))
    }

    /// Taken from the grant that is seen to have it, and from no other: the command may be delivered long after it was given up.
    async fn fence(&self, operation: Operation, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        for _ in 0..FENCES {
            let Some(seen) = self.look(operation, name).await? else { return Ok(None) };
            let mut of_it = doc! { "token": seen.token.get() };
            of_it.extend(self.statements.alive());
            let update = self.statements.fence(operation == Operation::ForceUnlock);
            let change = Change::of(operation, name, update).only(of_it);
            if let Some(found) = self.session.change(&change).await? {
                return fenced(operation, &found.record).map(Some);
            }
        }
        let why = "the lock went from one holder to the next each time";
        Err(failure(operation, StoreErrorKind::Conflict, why))
    }

    /// Who holds the name.
    async fn look(&self, operation: Operation, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        Ok(self.held(operation, doc! { "_id": name.as_str() }, 1).await?.into_iter().next())
    }

    async fn held(
        &self,
        operation: Operation,
        filter: Document,
        limit: usize,
    ) -> Result<Vec<LockInfo>, StoreError> {
        let rows = self.session.find(operation, filter, limit).await?;
        Ok(rows.into_iter().filter_map(|(name, found)| found.record.info(name)).collect())
    }
}

#[async_trait]
impl LockStore for MongoStore {
    fn capabilities(&self) -> Capabilities {
        let server = self.session.server();
        Capabilities::new(BACKEND, MAX_BATCH, server.limit(), server.pushes(), MAX_TOKEN).handing_over()
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        each_by_itself(requests, |request| self.acquire_one(request)).await
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        self.renew_all(requests).await
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        each_by_itself(requests, |request| self.release_one(request)).await
    }

    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        let HandOverRequest { release, .. } = request;
        let change = Change::of(Operation::HandOver, &release.name, self.statements.hand_over(request))
            .only(self.statements.held_by(release.grant));
        if let Some(row) = self.session.change(&change).await? {
            return Ok(handed_over(&row, request));
        }
        // It holds nothing: what there is to do is the release's to find out.
        Ok(HandOverAnswer::new(self.release_one(release).await?, AcquireAnswer::Raced))
    }

    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        if requests.is_empty() {
            return Ok(());
        }
        let updates = requests
            .iter()
            .map(|request| {
                doc! {
                    "q": { "_id": request.name.as_str() },
                    "u": [self.statements.mark_waiting(request)],
                    "collation": simple_collation(),
                }
            })
            .collect();
        self.session.update(Operation::MarkWaiting, updates, None).await.map(drop)
    }

    fn wakeups(&self) -> Option<Wakeups> {
        let (server, collection) = (self.session.server(), self.session.collection());
        server.pushes().then(|| wakeups::stream(Arc::clone(server), collection.to_owned()))
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        self.look(Operation::Inspect, name).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        // To MongoDB no limit is none.
        if request.limit == 0 {
            return Ok(Vec::new());
        }
        let mut names = doc! { "$gte": &request.prefix };
        if let Some(end) = request.text_after_prefix() {
            names.insert("$lt", end);
        }
        if let Some(after) = &request.after {
            names.insert("$gt", after.as_str());
        }
        let mut filter = doc! { "_id": names };
        filter.extend(self.statements.alive());
        self.held(Operation::List, filter, request.limit).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::Revoke, name).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::ForceUnlock, name).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let page = |after: String| async move {
            let last = self.session.end_of_page(Operation::Purge, &after, PURGE_PAGE).await?;
            let mut page = doc! { "$gt": after };
            if let Some(last) = &last {
                page.insert("$lte", last);
            }
            let mut filter = doc! { "_id": page };
            filter.extend(self.statements.idle(idle_for));
            Ok((self.session.delete(Operation::Purge, filter).await?, last))
        };
        // No name is empty.
        page_by_page(String::new(), page).await
    }

    fn schema(&self) -> String {
        schema::text(self.session.server().database(), self.session.collection())
    }
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("database", &self.session.server().database())
            .field("collection", &self.session.collection())
            .finish_non_exhaustive()
    }
}
