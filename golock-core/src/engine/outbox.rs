//! Requests that are to be sent: at once if no call of their kind is under way, and else together, as soon as that has ended.
//!
//! So a lonely request is never delayed, the busier the store is, the larger are the batches, and one connection will do for
//! all of a kind.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::slice::Chunks;
use std::time::Duration;

use super::env::Tick;
use crate::store::{AcquireRequest, Operation, ReleaseRequest, StoreError, StoreErrorKind};
use crate::{GrantId, LockName};

/// A call that takes longer than this keeps nothing from being sent: it may be waiting for a row that somebody's open
/// transaction has locked.
const PATIENCE: Duration = Duration::from_millis(20);

/// What is to be sent, in the order in which it came.
pub(super) struct Outbox<R> {
    waiting: VecDeque<R>,
    /// When each of the calls under way was sent, the earliest first.
    under_way: Vec<Tick>,
    /// The most requests in one call; `None`: one each, and nothing ever gathers.
    together: Option<usize>,
}

/// A request for one name.
pub(super) trait Request {
    fn name(&self) -> &LockName;
    fn grant(&self) -> GrantId;
}

impl<R: Request> Outbox<R> {
    pub(super) fn new(together: Option<usize>) -> Self {
        Self { waiting: VecDeque::new(), under_way: Vec::new(), together }
    }

    pub(super) fn put(&mut self, request: R) {
        self.waiting.push_back(request);
    }

    /// Takes a request back, unless it was sent before.
    pub(super) fn take_back(&mut self, name: &LockName, grant: GrantId) {
        self.waiting.retain(|request| request.grant() != grant || request.name() != name);
    }

    /// What is to be sent now, ordered by name, and no name twice: stores lock rows in this order.
    pub(super) fn next(&mut self, now: Tick) -> Option<Vec<R>> {
        let Some(together) = self.together else {
            return self.waiting.pop_front().map(|request| vec![request]);
        };
        if self.waiting.is_empty() || self.held_up_until().is_some_and(|until| now < until) {
            return None;
        }
        // However many there are for one name, they keep no other's from being sent.
        let (mut batch, mut later) = (BTreeMap::new(), Vec::new());
        while batch.len() < together.max(1) {
            let Some(request) = self.waiting.pop_front() else { break };
            match batch.entry(request.name().clone()) {
                Entry::Vacant(place) => drop(place.insert(request)),
                Entry::Occupied(_) => later.push(request),
            }
        }
        for request in later.into_iter().rev() {
            self.waiting.push_front(request);
        }
        self.under_way.push(now);
        Some(batch.into_values().collect())
    }

    /// When what waits will be sent at the latest; `None`: nothing waits, or it may be sent now.
    pub(super) fn held_up_until(&self) -> Option<Tick> {
        let latest = self.under_way.last().filter(|_| !self.waiting.is_empty())?;
        Some(latest.after(PATIENCE))
    }

    /// A call that was sent at this time has ended.
    pub(super) fn ended(&mut self, sent: Tick) {
        if let Some(at) = self.under_way.iter().position(|under_way| *under_way == sent) {
            self.under_way.remove(at);
        }
    }
}

/// The parts in which a batch that failed is tried again, for one row may have spoiled it for all. `None`: it is of no use,
/// for the request was alone or the error is about all.
pub(super) fn parts<'a, R>(requests: &'a [R], error: &StoreError) -> Option<Chunks<'a, R>> {
    let part = match error.kind() {
        // It took its time already: a row is locked, and there may be no second time for it.
        StoreErrorKind::Timeout | StoreErrorKind::Conflict => 1,
        _ => requests.len().isqrt(),
    };
    (requests.len() > 1 && !is_about_all(error)).then(|| requests.chunks(part))
}

/// It has nothing to do with any one name: whatever is asked fails alike, until somebody or something mends the server or the
/// way to it.
pub(super) fn is_about_all(error: &StoreError) -> bool {
    use StoreErrorKind as Kind;
    let no_table = error.operation() == Operation::CreateSchema;
    no_table
        || matches!(
            error.kind(),
            Kind::Connection
                | Kind::Unavailable
                | Kind::Authentication
                | Kind::Tls
                | Kind::ReadOnly
                | Kind::SchemaMissing
                | Kind::Configuration
        )
}

impl Request for AcquireRequest {
    fn name(&self) -> &LockName {
        &self.name
    }

    fn grant(&self) -> GrantId {
        self.grant
    }
}

impl Request for ReleaseRequest {
    fn name(&self) -> &LockName {
        &self.name
    }

    fn grant(&self) -> GrantId {
        self.grant
    }
}
