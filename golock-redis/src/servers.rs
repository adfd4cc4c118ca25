//! The servers that take locks, whoever they are.

use std::sync::Arc;

use fred::error::Error as DriverError;
use fred::types::Value;
use fred::types::config::{Server, ServerConfig};
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::cluster::Cluster;
use crate::error::{call_failed, failure, is_no_primary};
use crate::link::Link;
use crate::setup::Setup;

pub(crate) struct Servers {
    setup: Arc<Setup>,
    cluster: Option<Cluster>,
}

impl Servers {
    pub(crate) fn new(setup: Setup) -> Self {
        let cluster = setup.config().server.is_clustered().then(|| Cluster::new(setup.hosts()));
        Self { setup: Arc::new(setup), cluster }
    }

    pub(crate) fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// What is known of the Cluster, if it is one.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    pub(crate) fn has_sentinels(&self) -> bool {
        matches!(self.setup.config().server, ServerConfig::Sentinel { .. })
    }

    /// A call that the one server failed. That it is no primary any more will pass where sentinels know who is.
    pub(crate) fn call_failed(&self, operation: Operation, error: DriverError) -> StoreError {
        match self.has_sentinels() && is_no_primary(&error) {
            true => failure(operation, StoreErrorKind::Unavailable, error),
            false => call_failed(operation, error),
        }
    }

    /// Connects to this node of a Cluster. No node: to the one server that there is, the primary that a sentinel names, or any node that
    /// has keys.
    pub(crate) async fn connect(&self, node: Option<&Server>) -> Result<Link, StoreError> {
        let (setup, within) = (&*self.setup, self.setup.within());
        let to = |node: Server, within| async move { Link::open(setup, setup.at(&node), within).await };
        match (node, &self.cluster, &setup.config().server) {
            (Some(node), ..) => to(node.clone(), within).await,
            (None, Some(cluster), _) => {
                let nodes: Vec<_> = cluster.look(&self.setup).await?.primaries().into_iter().collect();
                setup.any_of(&nodes, &[], to).await
            }
            (None, None, ServerConfig::Sentinel { hosts, service_name, username, password }) => {
                let login = (username.as_ref(), password.as_ref());
                let named_by = |sentinel, within| async move {
                    let sentinel = Link::open(setup, setup.at_sentinel(&sentinel, login), within).await?;
                    let link = to(primary(&sentinel, service_name).await?, within).await?;
                    is_primary(&link).await.map(|()| link)
                };
                setup.any_of(hosts, &[], named_by).await
            }
            (None, None, _) => Link::open(setup, setup.config().clone(), within).await,
        }
    }
}

/// Who is the primary, by this sentinel.
async fn primary(sentinel: &Link, service: &str) -> Result<Server, StoreError> {
    let answer = sentinel.ask("SENTINEL", &["GET-MASTER-ADDR-BY-NAME", service]).await;
    let answer = answer.map_err(|error| call_failed(Operation::Connect, error))?;
    if answer.is_null() {
        let why = format!("the sentinel knows no primary by the name {service:?}: sentinelServiceName");
        return Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
    }
    let (host, port): (String, u16) =
        answer.convert().map_err(|error| call_failed(Operation::Connect, error))?;
    Ok(Server::new(host, port))
}

/// A sentinel may name one that is none any more, or not yet.
async fn is_primary(link: &Link) -> Result<(), StoreError> {
    let role = link.ask("ROLE", &[]).await.map_err(|error| call_failed(Operation::Connect, error))?;
    match role.into_array().first().and_then(Value::as_string).as_deref() {
        Some("master") => Ok(()),
        role => {
            let why =
                format!("the server that the sentinel names is no primary: {}", role.unwrap_or("no role"));
            Err(failure(Operation::Connect, StoreErrorKind::Unavailable, why))
        }
    }
}
