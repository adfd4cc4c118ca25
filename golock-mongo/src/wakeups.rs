//! Names whose leases ended early while somebody waited: a change stream.

use std::sync::Arc;

use futures_util::StreamExt;
use golock_core::LockName;
use golock_core::backend::listening;
use golock_core::store::{Operation, Wakeup, Wakeups};
use mongodb::bson::{Document, doc};
use mongodb::change_stream::event::ChangeStreamEvent;
use tracing::debug;

use crate::error::call_failed;
use crate::server::Server;

/// The driver opens the stream again by itself after a failure that it can get over, from where it was, so that nothing is missed;
/// at any other it ends.
pub(crate) fn stream(server: Arc<Server>, collection: String) -> Wakeups {
    let open = async move {
        let rows = server.own().await?.database.collection::<Document>(&collection);
        match rows.watch().pipeline([freed()]).await {
            Ok(events) => Ok(events.with_type::<ChangeStreamEvent<Document>>()),
            Err(error) => Err(call_failed(Operation::Connect, error)),
        }
    };
    listening(open, |mut events| async move {
        loop {
            let event = events
                .next()
                .await?
                .inspect_err(|error| debug!(error = %error.kind, "the change stream was lost"));
            if let Some(name) = name_of(&event.ok()?) {
                return Some((Wakeup::Freed(name), events));
            }
        }
    })
}

/// Whatever ends a lease early sets `freedAt` if somebody waits, the next grant clears it. A change that is about as large as its row is
/// told as the whole row.
fn freed() -> Document {
    doc! { "$match": { "$or": [
        { "updateDescription.updatedFields.freedAt": { "$type": "date" } },
        { "operationType": "replace", "fullDocument.freedAt": { "$type": "date" } },
    ] } }
}

fn name_of(event: &ChangeStreamEvent<Document>) -> Option<LockName> {
    let name = event.document_key.as_ref()?.get_str("_id").ok()?;
    LockName::new(name).ok()
}
