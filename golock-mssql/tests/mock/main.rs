//! What golock sends to SQL Server, and how it takes errors, silence and broken connections: over a scripted server.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod connections;
mod errors;
mod openings;
mod security;
mod statements;
mod tds;

use std::time::Duration;

use golock_core::store::{AcquireAnswer, AcquireRequest, ReleaseRequest, RenewRequest};
use golock_core::{FencingToken, GrantId, Label, LockName, LockStore, StoreError};
use golock_mssql::{MssqlStore, MssqlStoreBuilder};

fn builder() -> MssqlStoreBuilder {
    MssqlStore::builder()
}

fn name(name: &str) -> LockName {
    LockName::new(name).unwrap()
}

const GRANT: GrantId = GrantId::from_bytes(*b"0123456789abcdef");
const LEASE: Duration = Duration::new(90_000, 5_000);

fn acquire(of: &str) -> AcquireRequest {
    AcquireRequest::new(name(of), GRANT, Label::new("me").unwrap(), LEASE)
}

fn renew(of: &str) -> RenewRequest {
    RenewRequest::new(name(of), GRANT, FencingToken::new(7), LEASE)
}

fn release(of: &str) -> ReleaseRequest {
    ReleaseRequest::new(name(of), GRANT, LEASE)
}

async fn try_acquire(store: &MssqlStore) -> Result<Vec<AcquireAnswer>, StoreError> {
    store.acquire(&[acquire("job")]).await
}
