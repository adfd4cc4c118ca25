//! What a case is given: clients of the server, names of its own, the fixture's abilities.

use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use golock_core::{GrantId, LockName, LockStore, Locker, StoreError, StoreErrorKind};

use crate::client::Client;
use crate::fixture::{
    Abilities, BoxError, Connections, Damage, Fixture, Restart, RowLock, Sessions, SmallPool, Through,
};
use crate::patience::Patience;

/// One case over one fixture.
pub(crate) struct Context<'a> {
    fixture: &'a dyn Fixture,
    case: &'static str,
    spaces: Mutex<Vec<String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(fixture: &'a dyn Fixture, case: &'static str) -> Self {
        Self { fixture, case, spaces: Mutex::default() }
    }

    /// A name that no other case and no other run uses.
    pub(crate) fn name(&self, what: &str) -> LockName {
        lock_name(&format!("{}/{what}/{}", self.case, unique()))
    }

    /// `count` such names, in no order of their bytes.
    pub(crate) fn names(&self, what: &str, count: usize) -> Vec<LockName> {
        (0..count).map(|i| self.name(&format!("{what}-{}", (i * 7919) % 10_007))).collect()
    }

    /// A fresh client of the space that cases share.
    pub(crate) async fn client(&self) -> Client {
        self.client_in(SHARED_SPACE).await
    }

    /// A fresh client of a space.
    pub(crate) async fn client_in(&self, space: &str) -> Client {
        Client::new(self.store_in(space).await)
    }

    /// A locker over a fresh client of the space that cases share.
    pub(crate) async fn locker(&self) -> Locker {
        self.locker_in(SHARED_SPACE).await
    }

    /// A locker over a fresh client of a space.
    pub(crate) async fn locker_in(&self, space: &str) -> Locker {
        Locker::new(self.store_in(space).await)
    }

    pub(crate) async fn store_in(&self, space: &str) -> Arc<dyn LockStore> {
        opened(|| self.fixture.store(space)).await
    }

    /// A space of this case's own, for one that damages data or counts rows. It is dropped at the end, if the
    /// fixture can.
    pub(crate) fn own_space(&self) -> String {
        let space = format!("conformance_{}", unique());
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner).push(space.clone());
        space
    }

    /// Drops them all; why the first could not be, if one could not.
    pub(crate) async fn drop_own_spaces(&self) -> Result<(), String> {
        let spaces = std::mem::take(&mut *self.spaces.lock().unwrap_or_else(PoisonError::into_inner));
        let Ok(damage) = self.fixture.abilities().damage else { return Ok(()) };
        let mut outcome = Ok(());
        for space in spaces {
            let dropped = damage.drop_space(&space).await.map_err(|error| chain(&*error));
            outcome = outcome.and(dropped);
        }
        outcome
    }

    pub(crate) fn damage(&self) -> &'a dyn Damage {
        declared(self.abilities().damage)
    }

    pub(crate) fn row_lock(&self) -> &'a dyn RowLock {
        declared(self.abilities().row_lock)
    }

    pub(crate) fn restart(&self) -> &'a dyn Restart {
        declared(self.abilities().restart)
    }

    pub(crate) fn connections(&self) -> &'a dyn Connections {
        declared(self.abilities().connections)
    }

    pub(crate) fn through(&self) -> &'a dyn Through {
        declared(self.abilities().through)
    }

    pub(crate) fn small_pool(&self) -> &'a dyn SmallPool {
        declared(self.abilities().small_pool)
    }

    pub(crate) fn sessions(&self) -> &'a dyn Sessions {
        declared(self.abilities().sessions)
    }

    pub(crate) fn abilities(&self) -> Abilities<'a> {
        self.fixture.abilities()
    }
}

/// The space of every case that harms no other.
pub(crate) const SHARED_SPACE: &str = "conformance";

pub(crate) fn declared<T>(ability: Result<T, &'static str>) -> T {
    ability.unwrap_or_else(|_| panic!("the case does not say in the catalogue that it needs this"))
}

pub(crate) fn lock_name(name: &str) -> LockName {
    match LockName::new(name) {
        Ok(name) => name,
        Err(error) => panic!("the suite made a bad name, {name:?}: {error}"),
    }
}

/// A grant id that nobody else has.
pub(crate) fn new_grant() -> GrantId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random().to_be_bytes());
    bytes[8..].copy_from_slice(&random().to_be_bytes());
    GrantId::from_bytes(bytes)
}

/// Different in every call and every run: `3f09ab12_17`.
pub(crate) fn unique() -> String {
    static RUN: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:08x}_{}", RUN.get_or_init(random) & 0xffff_ffff, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Random enough for names: a dependency less.
fn random() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(CALLS.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
}

/// A store that the fixture opens, however long it takes: many clients at once on a busy machine are not what any case is about.
pub(crate) async fn opened<F>(open: impl Fn() -> F) -> Arc<dyn LockStore>
where
    F: Future<Output = Result<Arc<dyn LockStore>, BoxError>>,
{
    let mut patience = Patience::for_("a store");
    loop {
        match open().await {
            Ok(store) => return store,
            Err(error) if is_slow(&*error) => patience.pause().await,
            Err(error) => panic!("the fixture opened no store: {}", chain(&*error)),
        }
    }
}

fn is_slow(error: &(dyn Error + 'static)) -> bool {
    let kind = store_error(error).map(StoreError::kind);
    matches!(kind, Some(StoreErrorKind::Timeout | StoreErrorKind::Unavailable))
}

/// The error of a store in a chain of errors.
pub(crate) fn store_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a StoreError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

/// An error and all of its sources, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
