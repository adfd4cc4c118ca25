//! A store in the hands of a case: one request at a time, and a panic where a case can't go on.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, AcquireRequest, ListRequest, LockInfo, ReleaseAnswer, ReleaseRequest, RenewAnswer,
    RenewRequest,
};
use golock_core::{FencingToken, GrantId, Holder, Label, LockName, LockStore, StoreError};

use crate::context::{chain, new_grant};
use crate::patience::Patience;

/// A lease that no case outlives.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A lease that a case waits for the end of.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// What cases call themselves.
pub(crate) const LABEL: &str = "conformance";

/// A client of a store.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) store: Arc<dyn LockStore>,
    /// Transient errors are no failure: it asks again, and remembers that it did.
    patient: bool,
    asked_again: Arc<AtomicBool>,
}

/// A grant that a store made.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) name: LockName,
    pub(crate) id: GrantId,
    pub(crate) token: FencingToken,
    pub(crate) remaining: Duration,
}

impl Client {
    pub(crate) fn new(store: Arc<dyn LockStore>) -> Self {
        Self { store, patient: false, asked_again: Arc::default() }
    }

    /// For a case in which many want the same row at once: that it was not had in time excuses a call.
    pub(crate) fn patient(self) -> Self {
        Self { patient: true, ..self }
    }

    /// Whether a call was repeated, so that the answer may be that of a repetition.
    pub(crate) fn asked_again(&self) -> bool {
        self.asked_again.load(Ordering::SeqCst)
    }

    /// Acquires `name` for a new grant, which must succeed.
    pub(crate) async fn take(&self, name: &LockName, lease: Duration) -> Grant {
        self.take_as(name, new_grant(), lease).await
    }

    /// Acquires `name` for this grant, which must succeed.
    pub(crate) async fn take_as(&self, name: &LockName, id: GrantId, lease: Duration) -> Grant {
        match self.try_take_as(name, id, lease).await {
            Ok(grant) => grant,
            Err(holder) => panic!("{name:?} should have been granted, but is held {holder}"),
        }
    }

    /// Acquires `name` for a new grant under this label, which must succeed.
    pub(crate) async fn take_labelled(&self, name: &LockName, label: &str, lease: Duration) -> Grant {
        match self.try_take_labelled(name, new_grant(), label, lease).await {
            Ok(grant) => grant,
            Err(holder) => panic!("{name:?} should have been granted, but is held {holder}"),
        }
    }

    /// Acquires `name` for a new grant, which must be refused.
    pub(crate) async fn refused(&self, name: &LockName) -> Holder {
        match self.try_take(name, LONG).await {
            Ok(grant) => panic!("{name:?} is held, but was granted to another: {grant:?}"),
            Err(holder) => holder,
        }
    }

    pub(crate) async fn try_take(&self, name: &LockName, lease: Duration) -> Result<Grant, Holder> {
        self.try_take_as(name, new_grant(), lease).await
    }

    pub(crate) async fn try_take_as(
        &self,
        name: &LockName,
        id: GrantId,
        lease: Duration,
    ) -> Result<Grant, Holder> {
        self.try_take_labelled(name, id, LABEL, lease).await
    }

    /// Asks again while the store answers `Raced`, as the engine does.
    async fn try_take_labelled(
        &self,
        name: &LockName,
        id: GrantId,
        label: &str,
        lease: Duration,
    ) -> Result<Grant, Holder> {
        let mut patience = Patience::for_("an answer other than Raced");
        loop {
            match self.acquire(name, id, label, lease).await {
                AcquireAnswer::Granted { token, remaining, .. } => {
                    return Ok(Grant { name: name.clone(), id, token, remaining });
                }
                AcquireAnswer::Held(holder) => return Err(holder),
                _ => patience.pause().await,
            }
        }
    }

    /// Acquires once.
    pub(crate) async fn acquire(
        &self,
        name: &LockName,
        id: GrantId,
        label: &str,
        lease: Duration,
    ) -> AcquireAnswer {
        let request = AcquireRequest::new(name.clone(), id, self::label(label), lease);
        self.answer(|| self.store.acquire(slice::from_ref(&request))).await
    }

    /// Acquires `name` as soon as it is free.
    pub(crate) async fn take_when_free(&self, name: &LockName, lease: Duration) -> Grant {
        let mut patience = Patience::for_("the name to become free");
        loop {
            match self.try_take(name, lease).await {
                Ok(grant) => return grant,
                Err(_) => patience.pause().await,
            }
        }
    }

    /// Returns when nobody holds `name`.
    pub(crate) async fn until_free(&self, name: &LockName) {
        let mut patience = Patience::for_("the name to become free");
        while self.inspect(name).await.is_some() {
            patience.pause().await;
        }
    }

    pub(crate) async fn renew(&self, grant: &Grant, lease: Duration) -> RenewAnswer {
        let request = RenewRequest::new(grant.name.clone(), grant.id, grant.token, lease);
        self.answer(|| self.store.renew(slice::from_ref(&request))).await
    }

    /// Renews, which must succeed: what remains.
    pub(crate) async fn renewed(&self, grant: &Grant, lease: Duration) -> Duration {
        remaining(&self.renew(grant, lease).await)
    }

    pub(crate) async fn release(&self, grant: &Grant) -> ReleaseAnswer {
        self.undo(&grant.name, grant.id).await
    }

    pub(crate) async fn release_keeping(&self, grant: &Grant, lock_at_least: Duration) -> ReleaseAnswer {
        let request = ReleaseRequest::new(grant.name.clone(), grant.id, lock_at_least);
        self.answer(|| self.store.release(slice::from_ref(&request))).await
    }

    /// Releases a grant that may hold nothing.
    pub(crate) async fn undo(&self, name: &LockName, id: GrantId) -> ReleaseAnswer {
        let request = ReleaseRequest::new(name.clone(), id, Duration::ZERO);
        self.answer(|| self.store.release(slice::from_ref(&request))).await
    }

    pub(crate) async fn inspect(&self, name: &LockName) -> Option<LockInfo> {
        ok(self.store.inspect(name).await)
    }

    /// What is known of a name that is held.
    pub(crate) async fn info(&self, name: &LockName) -> LockInfo {
        match self.inspect(name).await {
            Some(info) => info,
            None => panic!("{name:?} should be held, but is free"),
        }
    }

    pub(crate) async fn list(&self, request: &ListRequest) -> Vec<LockInfo> {
        ok(self.store.list(request).await)
    }

    async fn answer<T, F>(&self, call: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<Vec<T>, StoreError>>,
    {
        let mut patience = Patience::for_("an answer of the store");
        loop {
            match call().await {
                Err(error) if self.patient && error.is_transient() => {
                    self.asked_again.store(true, Ordering::SeqCst);
                }
                answers => return only(ok(answers)),
            }
            patience.pause().await;
        }
    }

    pub(crate) async fn revoke(&self, name: &LockName) -> Option<FencingToken> {
        ok(self.store.revoke(name).await)
    }

    pub(crate) async fn force_unlock(&self, name: &LockName) -> Option<FencingToken> {
        ok(self.store.force_unlock(name).await)
    }

    pub(crate) async fn purge(&self, idle_for: Duration) -> u64 {
        ok(self.store.purge(idle_for).await)
    }
}

/// What a store answered; a case that expects no failure ends here with all that is known of it.
#[track_caller]
pub(crate) fn ok<T>(result: Result<T, StoreError>) -> T {
    match result {
        Ok(answer) => answer,
        Err(error) => panic!("the store failed ({:?}): {}", error.kind(), chain(&error)),
    }
}

/// What remains of a lease that must have been renewed.
#[track_caller]
pub(crate) fn remaining(answer: &RenewAnswer) -> Duration {
    match answer {
        RenewAnswer::Renewed { remaining, .. } => *remaining,
        lost => panic!("the lease should have been renewed, but the answer is {lost:?}"),
    }
}

pub(crate) fn label(label: &str) -> Label {
    match Label::new(label) {
        Ok(label) => label,
        Err(error) => panic!("the suite made a bad label, {label:?}: {error}"),
    }
}

#[track_caller]
fn only<T>(mut answers: Vec<T>) -> T {
    assert_eq!(answers.len(), 1, "one request, {} answers", answers.len());
    answers.remove(0)
}
