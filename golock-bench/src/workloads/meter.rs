//! Counts what a contender sends.

use golock_conformance::proxy::Proxy;

use crate::contender::BoxError;
use crate::databases::{Counter, Database, address, at};

/// Counts from when it was started: by the server, where it counts exactly, else by a proxy on the way to it.
pub(super) struct Meter {
    proxy: Proxy,
    counter: Option<Box<dyn Counter>>,
    /// The server, through the proxy.
    pub(super) url: String,
}

impl Meter {
    pub(super) async fn start(database: &dyn Database, url: &str) -> Result<Self, BoxError> {
        let proxy = Proxy::start(address(url)).await?;
        let through = at(url, proxy.address());
        Ok(Self { proxy, counter: database.counter(url).await?, url: through })
    }

    pub(super) async fn requests(&self) -> Result<u64, BoxError> {
        match &self.counter {
            Some(counter) => counter.commands().await,
            None => Ok(self.proxy.round_trips()),
        }
    }

    /// Answers that followed a request, on all connections: exact where nothing is pipelined.
    pub(super) fn round_trips(&self) -> u64 {
        self.proxy.round_trips()
    }

    pub(super) fn connections(&self) -> u64 {
        self.proxy.connections()
    }
}
