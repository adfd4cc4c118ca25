//! A store that breaks its contract costs the call it breaks it in, never the keeper: panics, wrong numbers of
//! answers, answers that never come.

use std::pin::Pin;
use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, ListRequest, LockInfo, MarkRequest, Operation,
    ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, Wakeups,
};
use golock_core::{
    Error, FencingToken, LockName, LockStore, Locker, MemoryStore, StoreError, StoreErrorKind, async_trait,
};
use tokio::time::{sleep, timeout};

use crate::common::{Fate, LEASE, SOON, Scripted, ms, options, secs, settle, taken_soon};

const BROKEN: [Fate; 3] = [Fate::PANIC, Fate::TOO_FEW, Fate::TOO_MANY];

fn kind_of(error: &Error) -> StoreErrorKind {
    let Error::Store { source, .. } = error else { panic!("{error}") };
    source.kind()
}

#[tokio::test(start_paused = true)]
async fn broken_acquire_is_told_and_undone() {
    for fate in BROKEN {
        let store = Scripted::new();
        store.script_for(Operation::Acquire, [fate]);
        let locker = Locker::new(store.clone());
        let error = locker.lock(options("job")).await.unwrap_err();
        assert_eq!(kind_of(&error), StoreErrorKind::Other, "{fate:?}");
        settle().await;
        assert_eq!(store.count(Operation::Release), 1);
        locker.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn broken_renewal_is_tried_again() {
    for fate in BROKEN {
        let store = Scripted::new();
        store.script_for(Operation::Renew, [fate; 2]);
        let locker = Locker::new(store.clone());
        let lock = locker.try_lock(options("job").auto_renew(true)).await.unwrap();
        sleep(LEASE * 2).await;
        assert!(lock.is_held(), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn broken_extension_is_told_and_costs_nothing() {
    for fate in BROKEN {
        let store = Scripted::new();
        store.script_for(Operation::Renew, [fate]);
        let lock = Locker::new(store.clone()).try_lock(options("job")).await.unwrap();
        assert_eq!(kind_of(&lock.extend(LEASE).await.unwrap_err()), StoreErrorKind::Other);
        assert!(lock.is_held());
        lock.unlock().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn broken_release_is_told_and_repeated() {
    for fate in BROKEN {
        let store = Scripted::new();
        store.script_for(Operation::Release, [fate; 2]);
        let (locker, other) = (Locker::new(store.clone()), Locker::new(store.server.clone()));
        let lock = locker.try_lock(options("job")).await.unwrap();
        assert_eq!(kind_of(&lock.unlock().await.unwrap_err()), StoreErrorKind::Other);
        taken_soon(&other, "job").await.unlock().await.unwrap();
        sleep(secs(1)).await;
        assert!(store.count(Operation::Release) >= 3);
    }
}

#[tokio::test(start_paused = true)]
async fn broken_mark_only_costs_the_push() {
    let store = Scripted::new();
    store.script_for(Operation::MarkWaiting, [Fate::PANIC; 1000]);
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let lock = one.try_lock(options("job")).await.unwrap();
    let waiter = tokio::spawn(async move { other.lock(options("job")).await.map(drop) });
    sleep(secs(5)).await;
    lock.unlock().await.unwrap();
    timeout(ms(1001), waiter).await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn broken_call_of_an_operator_is_told() {
    let store = Scripted::new();
    store.script(|_| Fate::PANIC);
    let locker = Locker::new(store.clone());
    assert_eq!(kind_of(&locker.inspect("job").await.unwrap_err()), StoreErrorKind::Other);
    assert_eq!(kind_of(&locker.list("").await.unwrap_err()), StoreErrorKind::Other);
    assert_eq!(kind_of(&locker.revoke("job").await.unwrap_err()), StoreErrorKind::Other);
    assert_eq!(kind_of(&locker.force_unlock("job").await.unwrap_err()), StoreErrorKind::Other);
    assert_eq!(kind_of(&locker.purge(LEASE).await.unwrap_err()), StoreErrorKind::Other);
    store.script(|_| Fate::HANG);
    assert_eq!(kind_of(&locker.inspect("job").await.unwrap_err()), StoreErrorKind::Timeout);
    store.script(|_| Fate::FINE);
    locker.try_lock(options("job")).await.unwrap().unlock().await.unwrap();
}

/// Of a large table a purge takes many statements.
#[tokio::test(start_paused = true)]
async fn purge_has_more_time_than_other_calls_and_ends_all_the_same() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    store.script_for(Operation::Purge, [Fate::slow(secs(300)), Fate::HANG]);
    assert_eq!(locker.purge(LEASE).await.unwrap(), 0);
    assert_eq!(kind_of(&locker.purge(LEASE).await.unwrap_err()), StoreErrorKind::Timeout);
}

/// A store may be written without `async_trait`, and panic before it returns its future.
#[tokio::test(start_paused = true)]
async fn panic_before_the_future_is_made_costs_no_more_than_one_in_it() {
    let locker = Locker::new(Hasty(MemoryStore::new()));
    let held = locker.try_lock(options("other").auto_renew(true)).await.unwrap();
    let error = locker.try_lock(options("hasty")).await.unwrap_err();
    assert_eq!(kind_of(&error), StoreErrorKind::Other);
    assert_eq!(kind_of(&locker.inspect("hasty").await.unwrap_err()), StoreErrorKind::Other);
    sleep(LEASE * 2).await;
    assert!(held.is_held());
    held.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn store_that_answers_nothing_at_all_ends_every_call() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("held")).await.unwrap();
    store.script(|_| Fate::HANG);
    let calls = async {
        assert!(locker.try_lock(options("job")).await.is_err());
        assert!(locker.lock(options("job").wait(secs(1))).await.is_err());
        assert!(lock.extend(LEASE).await.is_err());
        assert!(locker.inspect("job").await.is_err());
        assert!(lock.unlock().await.is_err());
    };
    timeout(SOON * 4, calls).await.unwrap();
    assert_eq!(locker.shutdown(secs(1)).await, 0);
}

/// Panics at once when it is asked about the name "hasty".
#[derive(Debug)]
struct Hasty(MemoryStore);

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

#[async_trait]
impl LockStore for Hasty {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn acquire<'a, 'b, 'c>(&'a self, requests: &'b [AcquireRequest]) -> Answer<'c, Vec<AcquireAnswer>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        assert!(requests.iter().all(|request| request.name.as_str() != "hasty"));
        self.0.acquire(requests)
    }
    fn inspect<'a, 'b, 'c>(&'a self, name: &'b LockName) -> Answer<'c, Option<LockInfo>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        assert_ne!(name.as_str(), "hasty");
        self.0.inspect(name)
    }
    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        self.0.renew(requests).await
    }
    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        self.0.release(requests).await
    }
    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        self.0.mark_waiting(requests).await
    }
    fn wakeups(&self) -> Option<Wakeups> {
        self.0.wakeups()
    }
    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        self.0.list(request).await
    }
    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.0.revoke(name).await
    }
    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.0.force_unlock(name).await
    }
    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        self.0.purge(idle_for).await
    }
    fn schema(&self) -> String {
        self.0.schema()
    }
}
