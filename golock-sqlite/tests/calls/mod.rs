//! One call of a store at a time.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, AcquireRequest, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest,
};
use golock_core::{FencingToken, GrantId, Holder, Label, LockName, LockStore, StoreError};
use golock_sqlite::SqliteStore;
use tokio::time::{Instant, sleep};

/// A lease that no test outlives.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// After that a condition that is waited for is given up.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(60);

pub(crate) fn name(what: &str) -> LockName {
    LockName::new(what).unwrap()
}

/// Different in every call and every process.
pub(crate) fn grant() -> GrantId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (process, next) = (u64::from(std::process::id()), NEXT.fetch_add(1, Ordering::Relaxed));
    GrantId::from_bytes((u128::from(process) << 64 | u128::from(next)).to_be_bytes())
}

pub(crate) async fn acquire(
    store: &SqliteStore,
    name: &LockName,
    id: GrantId,
    lease: Duration,
) -> Result<AcquireAnswer, StoreError> {
    let request = AcquireRequest::new(name.clone(), id, Label::new("tester").unwrap(), lease);
    store.acquire(&[request]).await.map(only)
}

pub(crate) async fn taken(
    store: &SqliteStore,
    name: &LockName,
    id: GrantId,
    lease: Duration,
) -> FencingToken {
    match acquire(store, name, id, lease).await.unwrap() {
        AcquireAnswer::Granted { token, .. } => token,
        answer => panic!("{name} was free, but the answer is {answer:?}"),
    }
}

pub(crate) async fn refused(store: &SqliteStore, name: &LockName) -> Holder {
    match acquire(store, name, grant(), LONG).await.unwrap() {
        AcquireAnswer::Held(holder) => holder,
        answer => panic!("{name} is held, but the answer is {answer:?}"),
    }
}

pub(crate) async fn renew(
    store: &SqliteStore,
    name: &LockName,
    id: GrantId,
    token: FencingToken,
    lease: Duration,
) -> Result<RenewAnswer, StoreError> {
    store.renew(&[RenewRequest::new(name.clone(), id, token, lease)]).await.map(only)
}

pub(crate) async fn release(
    store: &SqliteStore,
    name: &LockName,
    id: GrantId,
) -> Result<ReleaseAnswer, StoreError> {
    store.release(&[ReleaseRequest::new(name.clone(), id, Duration::ZERO)]).await.map(only)
}

pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + GIVE_UP;
    while !holds().await {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn only<T>(answers: Vec<T>) -> T {
    let [answer] = answers.try_into().unwrap_or_else(|_| panic!("one request, one answer"));
    answer
}
