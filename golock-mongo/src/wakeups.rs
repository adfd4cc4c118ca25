//! Names whose leases ended early while somebody waited: a change stream.

use std::future::ready;

use futures_util::stream::{self, StreamExt};
use golock_core::LockName;
use golock_core::store::{Wakeup, Wakeups};
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use mongodb::change_stream::event::ChangeStreamEvent;
use tracing::debug;

/// Opens the stream when it is first polled. The driver opens it again by itself after a failure that it can get over,
/// from where it was, so that nothing is missed; at any other it ends.
pub(crate) fn stream(rows: Collection<Document>) -> Wakeups {
    let open = async move {
        match rows.watch().pipeline([freed()]).await {
            Ok(events) => Some(events.with_type::<ChangeStreamEvent<Document>>()),
            Err(error) => {
                debug!(error = %error.kind, "no change stream");
                None
            }
        }
    };
    let wakeups = stream::once(open).filter_map(ready).flat_map(|events| {
        let freed = events
            .map(|event| event.inspect_err(|error| debug!(error = %error.kind, "the change stream was lost")))
            .take_while(|event| ready(event.is_ok()))
            .filter_map(|event| ready(event.ok().and_then(|event| name_of(&event)).map(Wakeup::Freed)));
        stream::once(ready(Wakeup::Listening)).chain(freed)
    });
    Box::pin(wakeups)
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
