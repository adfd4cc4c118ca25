//! What the engine calls: each goes its way over the network, the listeners' news as the test says.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, ListRequest, LockInfo,
    MarkRequest, Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, Wakeups,
};
use golock_core::{FencingToken, GrantId, LockName, LockStore, StoreError, async_trait};
use tokio::sync::mpsc;

use super::{Opening, Scripted, Told};

#[async_trait]
impl<S: LockStore + Clone> LockStore for Scripted<S> {
    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities.clone()
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        let (items, requests) =
            (requests.iter().map(|r| (r.name.clone(), r.grant)).collect(), requests.to_vec());
        self.make(Operation::Acquire, items, async move |server| server.acquire(&requests).await).await
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let (items, requests) =
            (requests.iter().map(|r| (r.name.clone(), r.grant)).collect(), requests.to_vec());
        let shared = Arc::clone(&self.shared);
        let effect = async move |server: S| {
            let mut requests = requests;
            if shared.state().rows_are_locked {
                // A lease is never shortened.
                requests.iter_mut().for_each(|request| request.lease = Duration::ZERO);
            }
            server.renew(&requests).await
        };
        self.make(Operation::Renew, items, effect).await
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        let (items, requests) =
            (requests.iter().map(|r| (r.name.clone(), r.grant)).collect(), requests.to_vec());
        self.make(Operation::Release, items, async move |server| server.release(&requests).await).await
    }

    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        let (items, request) = (vec![(request.next.name.clone(), request.next.grant)], request.clone());
        let effect = async move |server: S| Ok(vec![server.hand_over(&request).await?]);
        self.make(Operation::HandOver, items, effect).await.map(only)
    }

    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        let (items, requests) = (
            requests.iter().map(|r| (r.name.clone(), GrantId::from_bytes([0; 16]))).collect(),
            requests.to_vec(),
        );
        let effect = async move |server: S| Ok(vec![server.mark_waiting(&requests).await?]);
        self.make(Operation::MarkWaiting, items, effect).await.map(drop)
    }

    fn wakeups(&self) -> Option<Wakeups> {
        let opening = self.state().opening;
        match opening {
            Opening::Works => {}
            Opening::Fails => return None,
            Opening::Panics => panic!("as the test says"),
        }
        let (ear, heard) = mpsc::unbounded_channel();
        self.state().ears.push(ear);
        let this = self.clone();
        let told = stream::unfold(heard, async |mut heard| heard.recv().await.map(|told| (told, heard)));
        let freed = self.server.wakeups()?.filter_map(move |event| {
            let heard = this.state().hears_itself.then_some(Told::Event(event));
            async move { heard }
        });
        let all = stream::select(told.boxed(), freed.boxed()).map(|told| match told {
            Told::Event(event) => Some(event),
            Told::End => None,
            Told::Panic => panic!("as the test says"),
        });
        let until_the_end = all.take_while(|event| std::future::ready(event.is_some()));
        Some(until_the_end.filter_map(std::future::ready).boxed())
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        let name = name.clone();
        let effect = async move |server: S| Ok(vec![server.inspect(&name).await?]);
        self.make(Operation::Inspect, Vec::new(), effect).await.map(only)
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let request = request.clone();
        self.make(Operation::List, Vec::new(), async move |server| server.list(&request).await).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let name = name.clone();
        let effect = async move |server: S| Ok(vec![server.revoke(&name).await?]);
        self.make(Operation::Revoke, Vec::new(), effect).await.map(only)
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let name = name.clone();
        let effect = async move |server: S| Ok(vec![server.force_unlock(&name).await?]);
        self.make(Operation::ForceUnlock, Vec::new(), effect).await.map(only)
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let effect = async move |server: S| Ok(vec![server.purge(idle_for).await?]);
        self.make(Operation::Purge, Vec::new(), effect).await.map(only)
    }

    fn schema(&self) -> String {
        self.server.schema()
    }
}

/// An operator's call has one answer.
fn only<T>(mut answers: Vec<T>) -> T {
    answers.pop().expect("one answer")
}
