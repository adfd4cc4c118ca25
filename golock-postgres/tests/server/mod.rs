//! What the tests do on a server besides locking.

#![allow(dead_code, reason = "each test target uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

pub(crate) use golock_conformance::servers::unique;
use golock_core::store::{AcquireAnswer, AcquireRequest, LockStore, ReleaseAnswer, ReleaseRequest};
use golock_core::{FencingToken, GrantId, Label, LockName};
use golock_postgres::deadpool_postgres::tokio_postgres::{self, Client, Error, NoTls};

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A session, driven by the current runtime.
pub(crate) async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A session on a server that is known to answer.
pub(crate) async fn session(url: &str) -> Client {
    connect(url).await.unwrap()
}

/// The URL of another database for the same user.
pub(crate) fn url_of(url: &str, database: &str) -> String {
    let (start, _) = url.rsplit_once('/').unwrap();
    format!("{start}/{database}")
}

pub(crate) fn name(what: &str) -> LockName {
    LockName::new(unique(what)).unwrap()
}

pub(crate) fn grant() -> GrantId {
    let random = || RandomState::new().hash_one(1).to_be_bytes();
    GrantId::from_bytes([random(), random()].concat().try_into().unwrap())
}

pub(crate) fn wanted(name: &LockName, grant: GrantId, lock_by: &str) -> AcquireRequest {
    AcquireRequest::new(name.clone(), grant, Label::new(lock_by).unwrap(), LONG)
}

/// Takes a name that is free.
pub(crate) async fn take(store: &dyn LockStore, name: &LockName, lock_by: &str) -> (GrantId, FencingToken) {
    let grant = grant();
    match store.acquire(&[wanted(name, grant, lock_by)]).await.unwrap().remove(0) {
        AcquireAnswer::Granted { token, .. } => (grant, token),
        answer => panic!("{name:?} is free: {answer:?}"),
    }
}

pub(crate) async fn release(store: &dyn LockStore, name: &LockName, grant: GrantId) -> ReleaseAnswer {
    let request = ReleaseRequest::new(name.clone(), grant, Duration::ZERO);
    store.release(&[request]).await.unwrap().remove(0)
}
