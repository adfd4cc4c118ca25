//! A session for a tool that looks at a server besides locking on it: opened as golock's own are, but not set up.

use std::time::Duration;

use golock_core::StoreError;
use golock_core::store::Operation;
use tokio_postgres::Client;

use crate::error::call_failed;
use crate::{tls, url};

/// How long connecting may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Opens a session on the server at `url`, driven by a task that ends with it.
///
/// # Errors
/// [`StoreError`], as of [`connect`](crate::connect).
pub async fn tool_session(url: &str) -> Result<Client, StoreError> {
    let config = url::parse(url, WITHIN)?;
    let tls = tls::connector(&config)?;
    let connected = url::connect(&config, &tls).await;
    let (client, driver) = connected.map_err(|error| call_failed(Operation::Connect, error))?;
    tokio::spawn(driver);
    Ok(client)
}
