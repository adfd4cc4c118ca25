//! Sends commands: each once, to the primary, bounded on the server, and acknowledged by the majority.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use golock_core::LockName;
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error as DriverError;
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client, Collection, Database};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::answers::Found;
use crate::error::{CallError, call_failed, failure};
use crate::options;
use crate::statements::millis;

/// How many connections acquires leave for renewals, releases and the change stream.
const KEEPING_CONNECTIONS: u32 = 5;

/// The store's own client, and how its commands are sent.
pub(crate) struct Session {
    database: Database,
    collection: String,
    limit: Duration,
    /// Whose turn it is to use a connection for anything but renewing and releasing.
    turns: Semaphore,
    /// Whether the server pushes changes.
    pub(crate) pushes: bool,
    /// Whether the server takes upserts with a pipeline, as far as we know.
    upserts: AtomicBool,
}

/// A change of one row.
pub(crate) struct Change<'a> {
    operation: Operation,
    name: &'a LockName,
    /// Of a row that this finds; empty: any.
    condition: Document,
    update: Document,
    /// How long it may run on the server, if not as long as any.
    limit: Option<Duration>,
}

impl<'a> Change<'a> {
    pub(crate) fn of(operation: Operation, name: &'a LockName, update: Document) -> Self {
        Self { operation, name, condition: Document::new(), update, limit: None }
    }

    pub(crate) fn only(self, condition: Document) -> Self {
        Self { condition, ..self }
    }

    pub(crate) fn within(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Where there is no row, an acquire and a release make one; the others find nothing to do.
    fn makes_a_row(&self) -> bool {
        matches!(self.operation, Operation::Acquire | Operation::Release)
    }
}

impl Session {
    /// Connects once, so that what is wrong is told.
    pub(crate) async fn open(
        options: ClientOptions,
        database: &str,
        collection: &str,
        limit: Duration,
    ) -> Result<Self, StoreError> {
        // `maxTimeMS` is a 32-bit integer, and 0 stands for no limit.
        let limit = limit.clamp(Duration::from_millis(1), Duration::from_millis(i32::MAX as u64));
        let (options, acquiring) = options::ours(options, limit, KEEPING_CONNECTIONS);
        let without_tls = options::without_tls(&options);
        let client = Client::with_options(options);
        let client = client.map_err(|error| call_failed(Operation::Connect, error.into()))?;
        let mut session = Self {
            database: client.database(database),
            collection: collection.to_owned(),
            limit,
            turns: Semaphore::new(acquiring as usize),
            pushes: false,
            upserts: AtomicBool::new(true),
        };
        // Finding a server and connecting to it, and its answer. The driver bounds neither handshake nor answer.
        let hello = timeout(limit.saturating_mul(2), session.send(Operation::Connect, doc! { "hello": 1 }));
        let Ok(hello) = hello.await else {
            let why = "the server could be reached, but did not answer in time";
            return Err(failure(Operation::Connect, StoreErrorKind::Timeout, why));
        };
        let hello = match (hello, without_tls) {
            (Ok(hello), _) => hello,
            (Err(error), Some(options)) if error.is_connection() && answers(&options).await => {
                let why = "the server does not speak TLS";
                return Err(failure(Operation::Connect, StoreErrorKind::Tls, why));
            }
            (Err(error), _) => return Err(call_failed(Operation::Connect, error)),
        };
        if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
            let why = "the server is no primary, at least for now";
            return Err(failure(Operation::Connect, StoreErrorKind::Unavailable, why));
        }
        if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
            let why =
                "a mongos of a sharded cluster: $$NOW is its own clock there, and each mongos has another";
            return Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
        }
        // A standalone server has no change streams.
        session.pushes = hello.contains_key("setName");
        Ok(session)
    }

    /// How long a command may run on the server.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn database(&self) -> &str {
        self.database.name()
    }

    pub(crate) fn collection(&self) -> &str {
        &self.collection
    }

    pub(crate) fn rows(&self) -> Collection<Document> {
        self.database.collection(&self.collection)
    }

    /// Changes one row, in one atomic step, and says how it was before or is after: `None`, there is no row.
    pub(crate) async fn change(&self, change: &Change<'_>) -> Result<Option<Found>, StoreError> {
        let sent = Instant::now();
        let changed = match self.change_once(change).await {
            // Two inserted the row at once, or the like: now there is one.
            Err(error) if error.is_race() => self.change_once(change).await,
            outcome => outcome,
        };
        let row = changed.map_err(|error| call_failed(change.operation, error))?;
        // What can't be read was changed all the same.
        row.map_or(Ok(None), |row| Found::read(change.operation, &row, sent).map_err(StoreError::of_a_part))
    }

    async fn change_once(&self, change: &Change<'_>) -> Result<Option<Document>, CallError> {
        if !change.makes_a_row() {
            return self.find_and_modify(change, false).await;
        }
        if self.upserts.load(Ordering::Relaxed) {
            match self.find_and_modify(change, true).await {
                Err(error) if error.refuses_upsert() => self.upserts.store(false, Ordering::Relaxed),
                outcome => return outcome,
            }
        }
        // In two steps, for servers without such upserts. A row without fields is as good as none, should we end in
        // between.
        if let Some(row) = self.find_and_modify(change, false).await? {
            return Ok(Some(row));
        }
        self.insert(change).await?;
        self.find_and_modify(change, false).await?.ok_or_else(CallError::row_vanished).map(Some)
    }

    /// `None`: no row matched, or, of an upsert, there was none before.
    async fn find_and_modify(
        &self,
        change: &Change<'_>,
        upsert: bool,
    ) -> Result<Option<Document>, CallError> {
        let mut query = doc! { "_id": change.name.as_str() };
        query.extend(change.condition.clone());
        let command = doc! {
            "findAndModify": &self.collection,
            "query": query,
            "update": [change.update.clone()],
            "upsert": upsert,
            // A release is answered by the row as it was before.
            "new": change.operation != Operation::Release,
            "fields": Found::fields(),
            "collation": simple_collation(),
        };
        let mut reply = self.write(change.operation, command, change.limit).await?;
        match reply.remove("value") {
            Some(Bson::Document(row)) => Ok(Some(row)),
            _ => Ok(None),
        }
    }

    async fn insert(&self, change: &Change<'_>) -> Result<(), CallError> {
        let command = doc! { "insert": &self.collection, "documents": [{ "_id": change.name.as_str() }] };
        match self.write(change.operation, command, change.limit).await {
            Err(error) if !error.is_race() => Err(error),
            _ => Ok(()),
        }
    }

    /// Changes many rows by the statements of one command, each row in an atomic step of its own: how many are not as they were.
    pub(crate) async fn update(
        &self,
        operation: Operation,
        updates: Vec<Document>,
        limit: Option<Duration>,
    ) -> Result<u64, CallError> {
        let command = doc! { "update": &self.collection, "updates": updates, "ordered": false };
        Ok(counted(&self.write(operation, command, limit).await?, "nModified"))
    }

    /// Deletes the rows that `filter` finds; how many.
    pub(crate) async fn delete(&self, operation: Operation, filter: Document) -> Result<u64, StoreError> {
        let deletes = [doc! { "q": filter, "limit": 0, "collation": simple_collation() }];
        let command = doc! { "delete": &self.collection, "deletes": deletes };
        let reply = self.write(operation, command, None).await;
        Ok(counted(&reply.map_err(|error| call_failed(operation, error))?, "n"))
    }

    /// The name in the last of so many rows behind a name; `None`: there are fewer.
    pub(crate) async fn end_of_page(
        &self,
        operation: Operation,
        after: &str,
        rows: u32,
    ) -> Result<Option<String>, StoreError> {
        let command = doc! {
            "find": &self.collection,
            "filter": { "_id": { "$gt": after } },
            "projection": { "_id": 1 },
            "sort": { "_id": 1 },
            "skip": i64::from(rows.saturating_sub(1)),
            "limit": 1,
            "singleBatch": true,
        };
        let row = self.found(operation, command).await?.into_iter().next();
        Ok(row.and_then(|row| Some(row.get_str("_id").ok()?.to_owned())))
    }

    /// The rows that `filter` finds, in the order of their names.
    pub(crate) async fn find(
        &self,
        operation: Operation,
        filter: Document,
        limit: usize,
    ) -> Result<Vec<(LockName, Found)>, StoreError> {
        let sent = Instant::now();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let command = doc! {
            "find": &self.collection,
            "filter": filter,
            "projection": Found::fields(),
            "sort": { "_id": 1 },
            "limit": limit,
            // In one round trip, as far as a reply has room.
            "batchSize": limit,
        };
        let rows = self.found(operation, command).await?;
        let mut named = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(read) = Found::read(operation, &row, sent)? {
                named.push((Found::name(operation, &row)?, read));
            }
        }
        Ok(named)
    }

    async fn found(&self, operation: Operation, mut command: Document) -> Result<Vec<Document>, StoreError> {
        command.insert("collation", simple_collation());
        // What a failover can't undo.
        command.insert("readConcern", doc! { "level": "majority" });
        command.insert("maxTimeMS", millis(self.limit));
        let _turn = self.turn(operation).await;
        let found = async {
            let cursor = self.database.run_cursor_command(command).selection_criteria(primary()).await?;
            cursor.try_collect::<Vec<Document>>().await
        };
        found.await.map_err(|error: DriverError| call_failed(operation, error.into()))
    }

    /// With the write concern that leases need, whatever the URL says: known to the majority, in its journal. It may run for
    /// `limit` on the server, or else as long as any.
    async fn write(
        &self,
        operation: Operation,
        mut command: Document,
        limit: Option<Duration>,
    ) -> Result<Document, CallError> {
        let limit = millis(limit.unwrap_or(self.limit));
        command.insert("writeConcern", doc! { "w": "majority", "j": true, "wtimeout": limit });
        command.insert("maxTimeMS", limit);
        let reply = self.send(operation, command).await?;
        CallError::in_reply(&reply).map_or(Ok(reply), Err)
    }

    /// By `run_command`, of which a driver promises that it adds nothing to it and sends it once.
    async fn send(&self, operation: Operation, command: Document) -> Result<Document, CallError> {
        let _turn = self.turn(operation).await;
        Ok(self.database.run_command(command).selection_criteria(primary()).await?)
    }

    /// Renewals and releases may use any connection; all else has to leave a few, which the pool has besides those with a turn.
    async fn turn(&self, operation: Operation) -> Option<SemaphorePermit<'_>> {
        match operation {
            Operation::Renew | Operation::Release | Operation::HandOver => None,
            // An error would say that the semaphore was closed, which nobody does.
            _ => self.turns.acquire().await.ok(),
        }
    }
}

/// Whether there is a server, for these options.
async fn answers(options: &ClientOptions) -> bool {
    match Client::with_options(options.clone()) {
        Ok(client) => client.database("admin").run_command(doc! { "hello": 1 }).await.is_ok(),
        Err(_) => false,
    }
}

fn counted(reply: &Document, field: &str) -> u64 {
    reply.get_i32(field).ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// Names are compared byte by byte, whatever the collection's own collation is.
pub(crate) fn simple_collation() -> Document {
    doc! { "locale": "simple" }
}

fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}
