//! Sends commands: each once, to the primary, bounded on the server, and acknowledged by the majority.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use golock_core::LockName;
use golock_core::store::{Operation, StoreError};
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error as DriverError;

use crate::answers::Found;
use crate::error::{call_failed, in_reply, is_of_a_statement, is_race, refuses_upsert, row_vanished};
use crate::server::{Server, primary};
use crate::statements::millis;

/// How the store's commands are sent.
pub(crate) struct Session {
    server: Arc<Server>,
    collection: String,
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
    pub(crate) fn new(server: Server, collection: String) -> Self {
        Self { server: Arc::new(server), collection, upserts: AtomicBool::new(true) }
    }

    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    pub(crate) fn collection(&self) -> &str {
        &self.collection
    }

    /// Changes one row, in one atomic step, and says how it was before or is after: `None`, there is no row.
    pub(crate) async fn change(&self, change: &Change<'_>) -> Result<Option<Found>, StoreError> {
        let sent = Instant::now();
        let row = match self.change_once(change).await {
            // Two inserted the row at once, or the like: now there is one.
            Err(error) if is_race(&error) => self.change_once(change).await,
            outcome => outcome,
        }?;
        // What can't be read was changed all the same.
        row.map_or(Ok(None), |row| Found::read(change.operation, &row, sent).map_err(StoreError::of_a_part))
    }

    async fn change_once(&self, change: &Change<'_>) -> Result<Option<Document>, StoreError> {
        if !change.makes_a_row() {
            return self.find_and_modify(change, false).await;
        }
        if self.upserts.load(Ordering::Relaxed) {
            match self.find_and_modify(change, true).await {
                Err(error) if refuses_upsert(&error) => self.upserts.store(false, Ordering::Relaxed),
                outcome => return outcome,
            }
        }
        // In two steps, for servers without such upserts. A row without fields is as good as none, should we end in
        // between.
        if let Some(row) = self.find_and_modify(change, false).await? {
            return Ok(Some(row));
        }
        self.insert(change).await?;
        self.find_and_modify(change, false).await?.ok_or_else(|| row_vanished(change.operation)).map(Some)
    }

    /// `None`: no row matched, or, of an upsert, there was none before.
    async fn find_and_modify(
        &self,
        change: &Change<'_>,
        upsert: bool,
    ) -> Result<Option<Document>, StoreError> {
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

    async fn insert(&self, change: &Change<'_>) -> Result<(), StoreError> {
        let command = doc! { "insert": &self.collection, "documents": [{ "_id": change.name.as_str() }] };
        match self.write(change.operation, command, change.limit).await {
            Err(error) if !is_race(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Changes many rows by the statements of one command, each row in an atomic step of its own: how many are not as they were.
    pub(crate) async fn update(
        &self,
        operation: Operation,
        updates: Vec<Document>,
        limit: Option<Duration>,
    ) -> Result<u64, StoreError> {
        let command = doc! { "update": &self.collection, "updates": updates, "ordered": false };
        let reply = self.write(operation, command, limit).await;
        Ok(counted(&reply.map_err(beside_others)?, "nModified"))
    }

    /// Deletes the rows that `filter` finds; how many.
    pub(crate) async fn delete(&self, operation: Operation, filter: Document) -> Result<u64, StoreError> {
        let deletes = [doc! { "q": filter, "limit": 0, "collation": simple_collation() }];
        let command = doc! { "delete": &self.collection, "deletes": deletes };
        let reply = self.write(operation, command, None).await;
        Ok(counted(&reply.map_err(beside_others)?, "n"))
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
        // What a failover can't undo; but what a change is about to be made of, on condition that it is so, as new as it can be.
        let is_looked_at = matches!(operation, Operation::Revoke | Operation::ForceUnlock);
        let level = if is_looked_at { "local" } else { "majority" };
        command.insert("readConcern", doc! { "level": level });
        command.insert("maxTimeMS", millis(self.server.limit()));
        let own = self.server.own().await?;
        let _turn = own.turn(operation).await;
        let found = async {
            let cursor = own.database.run_cursor_command(command).selection_criteria(primary()).await?;
            cursor.try_collect::<Vec<Document>>().await
        };
        found.await.map_err(|error: DriverError| call_failed(operation, error))
    }

    /// With the write concern that leases need, whatever the URL says: known to the majority, in its journal. It may run for
    /// `limit` on the server, or else as long as any.
    async fn write(
        &self,
        operation: Operation,
        mut command: Document,
        limit: Option<Duration>,
    ) -> Result<Document, StoreError> {
        let limit = millis(limit.unwrap_or(self.server.limit()));
        command.insert("writeConcern", doc! { "w": "majority", "j": true, "wtimeout": limit });
        command.insert("maxTimeMS", limit);
        let reply = self.send(operation, command).await?;
        in_reply(operation, &reply).map_or(Ok(reply), Err)
    }

    /// By `run_command`, of which a driver promises that it adds nothing to it and sends it once.
    async fn send(&self, operation: Operation, command: Document) -> Result<Document, StoreError> {
        let own = self.server.own().await?;
        let _turn = own.turn(operation).await;
        let reply = own.database.run_command(command).selection_criteria(primary()).await;
        reply.map_err(|error| call_failed(operation, error))
    }
}

/// The failure of a command for many rows: if it is one row's, others may have been changed before or beside it.
fn beside_others(error: StoreError) -> StoreError {
    let beside_others = is_of_a_statement(&error) || is_race(&error);
    error.of_a_part_if(beside_others)
}

fn counted(reply: &Document, field: &str) -> u64 {
    reply.get_i32(field).ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// Names are compared byte by byte, whatever the collection's own collation is.
pub(crate) fn simple_collation() -> Document {
    doc! { "locale": "simple" }
}
