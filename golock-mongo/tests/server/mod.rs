//! The server that the tests run on: made ready, and looked at before it is trusted.

#![allow(dead_code, reason = "each test file uses a part of it")]

mod probe;

use golock_conformance::BoxError;
pub(crate) use golock_conformance::servers::unique;
use golock_mongo::mongodb::Client;
use golock_mongo::mongodb::bson::{Document, doc};
use golock_mongo::mongodb::error::ErrorKind;

/// The database of all tests.
pub(crate) const DATABASE: &str = "golock_test";

/// Makes a replica set of the server if it is to be one and is none yet, and answers when it can be trusted with locks.
pub(crate) async fn ready(url: String) -> Result<(), BoxError> {
    let client = Client::with_uri_str(&url).await?;
    let admin = client.database("admin");
    let hello = admin.run_command(doc! { "hello": 1 }).await?;
    if !hello.get_bool("isWritablePrimary")? {
        let alone = doc! { "_id": "golock", "members": [{ "_id": 0, "host": "localhost:27017" }] };
        match admin.run_command(doc! { "replSetInitiate": alone }).await {
            Err(error) if !is_initiated(&error.kind) => return Err(error.into()),
            _ => return Err("the server is about to become primary".into()),
        }
    }
    let database = client.database(DATABASE);
    let rows = database.collection::<Document>(&unique("probe"));
    probe::all(&database, &rows).await?;
    Ok(rows.drop().await?)
}

fn is_initiated(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Command(error) if error.code_name == "AlreadyInitialized")
}

/// The same URL with one more option.
pub(crate) fn url_with(url: &str, option: &str) -> String {
    format!("{url}{}{option}", if url.contains('?') { '&' } else { '?' })
}
