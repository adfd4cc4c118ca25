//! A store over a real server that is wrong in exactly one way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use golock_conformance::async_trait;
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, ListRequest, LockInfo, LockStore, MarkRequest,
    ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, StoreError, Wakeups,
};
use golock_core::{FencingToken, GrantId, LockName};

/// How it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A release frees the name, whoever has it.
    AnybodyReleases,
    /// A name that is held is granted all the same.
    EverybodyWins,
    /// Two grants within a second have the same token.
    TokensAreSeconds,
    /// A lease is a quarter as long as the holder is told.
    SaysMoreThanIsLeft,
    /// A release does nothing, and a lease is three times as long as the holder is told.
    ForgetsReleases,
}

#[derive(Debug)]
pub(crate) struct WrongStore {
    inner: Arc<dyn LockStore>,
    wrong: Wrong,
    /// What the server knows the grants by, where the holder was told otherwise.
    tokens: Mutex<HashMap<GrantId, FencingToken>>,
}

impl WrongStore {
    pub(crate) fn new(inner: Arc<dyn LockStore>, wrong: Wrong) -> Self {
        Self { inner, wrong, tokens: Mutex::default() }
    }

    fn lease(&self, asked: Duration) -> Duration {
        match self.wrong {
            Wrong::SaysMoreThanIsLeft => asked / 4,
            Wrong::ForgetsReleases => asked * 3,
            _ => asked,
        }
    }

    fn told(&self, asked: &AcquireRequest, answer: AcquireAnswer) -> AcquireAnswer {
        let AcquireAnswer::Granted { token, remaining, .. } = answer else { return answer };
        match self.wrong {
            Wrong::TokensAreSeconds => {
                self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(asked.grant, token);
                AcquireAnswer::granted(FencingToken::new(token.get() / 1_000_000), remaining)
            }
            Wrong::SaysMoreThanIsLeft => AcquireAnswer::granted(token, asked.lease),
            _ => AcquireAnswer::granted(token, remaining.min(asked.lease)),
        }
    }

    fn known(&self, grant: GrantId, token: FencingToken) -> FencingToken {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(&grant).copied().unwrap_or(token)
    }
}

#[async_trait]
impl LockStore for WrongStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        let mut sent = requests.to_vec();
        for request in &mut sent {
            request.lease = self.lease(request.lease);
        }
        let mut answers = self.inner.acquire(&sent).await?;
        if self.wrong == Wrong::EverybodyWins {
            for (request, answer) in sent.iter().zip(&mut answers) {
                if matches!(answer, AcquireAnswer::Held(_)) {
                    self.inner.force_unlock(&request.name).await?;
                    *answer = self.inner.acquire(std::slice::from_ref(request)).await?.remove(0);
                }
            }
        }
        Ok(requests.iter().zip(answers).map(|(asked, answer)| self.told(asked, answer)).collect())
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let mut sent = requests.to_vec();
        for request in &mut sent {
            request.lease = self.lease(request.lease);
            request.token = self.known(request.grant, request.token);
        }
        let answers = self.inner.renew(&sent).await?;
        let told = requests.iter().zip(answers).map(|(asked, answer)| match answer {
            RenewAnswer::Renewed { .. } if self.lease(asked.lease) != asked.lease => {
                RenewAnswer::renewed(asked.lease)
            }
            answer => answer,
        });
        Ok(told.collect())
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        match self.wrong {
            Wrong::ForgetsReleases => return Ok(vec![ReleaseAnswer::Released; requests.len()]),
            Wrong::AnybodyReleases => {
                for request in requests {
                    self.inner.force_unlock(&request.name).await?;
                }
            }
            _ => {}
        }
        self.inner.release(requests).await
    }

    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        self.inner.mark_waiting(requests).await
    }

    fn wakeups(&self) -> Option<Wakeups> {
        self.inner.wakeups()
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        // What the watchman sees must be what holders were told.
        Ok(self.inner.inspect(name).await?.map(|mut info| {
            if self.wrong == Wrong::TokensAreSeconds {
                info.token = FencingToken::new(info.token.get() / 1_000_000);
            }
            info
        }))
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        self.inner.list(request).await
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.inner.revoke(name).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.inner.force_unlock(name).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        self.inner.purge(idle_for).await
    }

    fn schema(&self) -> String {
        self.inner.schema()
    }
}
