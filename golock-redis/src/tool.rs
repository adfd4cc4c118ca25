//! A connection for a tool that looks at a server besides locking on it: opened as golock's own are.

use std::time::Duration;

use fred::clients::Client;
use golock_core::StoreError;

use crate::link::Link;
use crate::servers::Servers;
use crate::url;

/// An open connection, closed when it is dropped.
#[allow(missing_debug_implementations, reason = "it is no part of the public interface")]
pub struct ToolConnection(Link);

impl ToolConnection {
    /// Opens one to the server at `url`; of a Cluster, to a primary.
    ///
    /// # Errors
    /// [`StoreError`], as of [`connect`](crate::connect), but whatever the server's settings.
    pub async fn open(url: &str, within: Duration) -> Result<Self, StoreError> {
        let servers = Servers::new(url::parse(url)?.answering_within(within));
        Ok(Self(servers.connect(None).await?))
    }

    /// The driver's client.
    pub fn client(&self) -> &Client {
        self.0.client()
    }
}
