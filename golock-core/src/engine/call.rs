//! Calls of the store on their way: each is bounded in time, says when it was sent, and survives a panic.

use std::any::Any;
use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tracing::Instrument;

use super::command::Reply;
use super::env::{Clock, Tick};
use super::telemetry::{Telemetry, watched};
use crate::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, LockStore, MarkRequest,
    Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, StoreError, StoreErrorKind,
};

/// A call that has ended, or was given up.
pub(super) struct Done {
    pub(super) sent: Tick,
    pub(super) what: What,
}

pub(super) enum What {
    Acquired(Vec<AcquireRequest>, Result<Vec<AcquireAnswer>, StoreError>),
    Renewed(Vec<RenewRequest>, Result<Vec<RenewAnswer>, StoreError>),
    Extended(RenewRequest, Reply<()>, Result<RenewAnswer, StoreError>),
    Released(Vec<ReleaseRequest>, Result<Vec<ReleaseAnswer>, StoreError>),
    HandedOver(HandOverRequest, Result<HandOverAnswer, StoreError>),
    Marked(MarkRequest, Result<(), StoreError>),
    /// An operator's call: it has answered by itself.
    Ran,
}

/// Makes the calls of one store.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    pub(crate) store: Arc<dyn LockStore>,
    pub(crate) capabilities: Capabilities,
    pub(crate) clock: Clock,
    /// How long any call may take.
    pub(crate) limit: Duration,
    pub(crate) telemetry: Telemetry,
}

impl Calls {
    pub(super) fn acquire(&self, requests: Vec<AcquireRequest>, sent: Tick) -> BoxFuture<'static, Done> {
        let (this, limit) = (self.clone(), self.limit_for(requests.len()));
        async move {
            let call = async {
                this.counted(Operation::Acquire, requests.len(), this.store.acquire(&requests).await?)
            };
            let answers = this.bounded(Operation::Acquire, limit, call).await;
            Done { sent, what: What::Acquired(requests, answers) }
        }
        .boxed()
    }

    pub(super) fn renew(&self, requests: Vec<RenewRequest>, limit: Duration) -> BoxFuture<'static, Done> {
        let this = self.clone();
        async move {
            let sent = this.clock.now();
            let call =
                async { this.counted(Operation::Renew, requests.len(), this.store.renew(&requests).await?) };
            let answers = this.bounded(Operation::Renew, limit, call).await;
            Done { sent, what: What::Renewed(requests, answers) }
        }
        .boxed()
    }

    pub(super) fn extend(
        &self,
        request: RenewRequest,
        limit: Duration,
        reply: Reply<()>,
    ) -> BoxFuture<'static, Done> {
        let (this, limit) = (self.clone(), self.limit.min(limit));
        async move {
            let (sent, requests) = (this.clock.now(), [request]);
            let call = async { this.all(Operation::Renew, this.store.renew(&requests).await?) };
            let answer = this.bounded(Operation::Renew, limit, call).await;
            let [request] = requests;
            Done { sent, what: What::Extended(request, reply, answer.map(|[answer]| answer)) }
        }
        .boxed()
    }

    pub(super) fn release(&self, requests: Vec<ReleaseRequest>, sent: Tick) -> BoxFuture<'static, Done> {
        let (this, limit) = (self.clone(), self.limit_for(requests.len()));
        async move {
            let call = async {
                this.counted(Operation::Release, requests.len(), this.store.release(&requests).await?)
            };
            let answers = this.bounded(Operation::Release, limit, call).await;
            Done { sent, what: What::Released(requests, answers) }
        }
        .boxed()
    }

    pub(super) fn hand_over(&self, request: HandOverRequest) -> BoxFuture<'static, Done> {
        let this = self.clone();
        async move {
            let sent = this.clock.now();
            let answer = this.bounded(Operation::HandOver, this.limit, this.store.hand_over(&request)).await;
            Done { sent, what: What::HandedOver(request, answer) }
        }
        .boxed()
    }

    pub(super) fn mark_waiting(&self, request: MarkRequest) -> BoxFuture<'static, Done> {
        let this = self.clone();
        async move {
            let (sent, requests) = (this.clock.now(), [request]);
            let done =
                this.bounded(Operation::MarkWaiting, this.limit, this.store.mark_waiting(&requests)).await;
            let [request] = requests;
            Done { sent, what: What::Marked(request, done) }
        }
        .boxed()
    }

    /// The outcome of `call`, or an error if it takes longer than `limit` (it is dropped then) or panics.
    pub(crate) async fn bounded<T>(
        &self,
        operation: Operation,
        limit: Duration,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let call = AssertUnwindSafe(call).catch_unwind().instrument(self.telemetry.calling(operation));
        watched(match self.clock.within(limit, call).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => Err(self.failed(operation, StoreErrorKind::Other, panic_text(&*panic))),
            None => {
                Err(self.failed(operation, StoreErrorKind::Timeout, format!("no answer within {limit:?}")))
            }
        })
    }

    /// A batch that hangs is tried again one by one: there has to be time for that.
    fn limit_for(&self, requests: usize) -> Duration {
        if requests == 1 { self.limit } else { self.limit / 2 }
    }

    fn all<T, const N: usize>(&self, operation: Operation, answers: Vec<T>) -> Result<[T; N], StoreError> {
        let got = answers.len();
        answers.try_into().map_err(|_| self.miscounted(operation, N, got))
    }

    fn counted<T>(&self, operation: Operation, asked: usize, answers: Vec<T>) -> Result<Vec<T>, StoreError> {
        if answers.len() == asked {
            Ok(answers)
        } else {
            Err(self.miscounted(operation, asked, answers.len()))
        }
    }

    fn miscounted(&self, operation: Operation, asked: usize, got: usize) -> StoreError {
        self.failed(operation, StoreErrorKind::Other, format!("{got} answers to {asked} requests"))
    }

    pub(super) fn failed(
        &self,
        operation: Operation,
        kind: StoreErrorKind,
        why: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> StoreError {
        StoreError::new(self.capabilities.backend, operation, kind, why)
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the store panicked: {}", text.unwrap_or("(no message)"))
}
