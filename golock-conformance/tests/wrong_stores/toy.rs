//! A small store in memory that is right, or wrong in exactly one way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt};
use golock_conformance::async_trait;
use golock_core::backend::micros;
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, ListRequest, LockInfo,
    LockStore, MarkRequest, Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, StoreError,
    StoreErrorKind, Wakeup, Wakeups,
};
use golock_core::{FencingToken, LockName, LostReason};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::row::Row;
use crate::wrong::Wrong;

#[derive(Clone, Debug)]
pub(crate) struct Toy {
    pub(crate) wrong: Option<Wrong>,
    rows: Arc<Mutex<BTreeMap<String, Row>>>,
    freed: broadcast::Sender<LockName>,
    /// It is open for as long as somebody has it.
    connection: Arc<()>,
}

impl Toy {
    pub(crate) fn new(wrong: Option<Wrong>) -> Self {
        Self { wrong, rows: Arc::default(), freed: broadcast::Sender::new(1024), connection: Arc::default() }
    }

    pub(crate) fn connected(&self, connection: &Arc<()>) -> Self {
        Self { connection: connection.clone(), ..self.clone() }
    }

    pub(crate) fn set_token(&self, name: &LockName, token: FencingToken) {
        if let Some(row) = self.rows().get_mut(&self.key(name)) {
            row.token = token.get();
        }
    }

    pub(crate) fn delete(&self, name: &LockName) {
        self.rows().remove(&self.key(name));
    }

    pub(crate) fn clear(&self) {
        self.rows().clear();
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.rows.lock().unwrap()
    }

    fn key(&self, name: &LockName) -> String {
        match self.wrong {
            Some(Wrong::NamesIgnoreCase) => name.as_str().to_lowercase(),
            Some(Wrong::NamesAreTrimmed) => name.as_str().trim_end_matches(' ').to_owned(),
            Some(Wrong::NamesAreCut) => name.as_str().chars().take(250).collect(),
            _ => name.as_str().to_owned(),
        }
    }

    fn next_token(&self, last: Option<i64>, doing: Operation) -> Result<i64, StoreError> {
        let counted = last.map_or(Some(1), |last| last.checked_add(1));
        if self.is(Wrong::TokensCountFromOne) || self.is(Wrong::ReleasesForgetTokens) {
            return Ok(counted.unwrap_or(0));
        }
        let next = match counted {
            Some(_) if self.is(Wrong::TokensAreTheClock) => 0,
            None if self.is(Wrong::TokensWrap) => return Ok(1),
            None => return Err(StoreError::new("toy", doing, StoreErrorKind::TokenExhausted, "i64::MAX")),
            Some(next) => next,
        };
        Ok(next.max(now().as_micros() as i64))
    }

    fn acquire_one(&self, wanted: &AcquireRequest) -> Result<AcquireAnswer, StoreError> {
        let mut rows = self.rows();
        let now = now();
        let row = rows.get(&self.key(&wanted.name));
        if let Some(row) = row {
            if row.released == Some(wanted.grant) && !self.is(Wrong::ForgetsReleasedGrants) {
                return Ok(AcquireAnswer::Raced);
            }
            let mine = row.grant == Some(wanted.grant)
                || self.is(Wrong::LabelsAreIdentities) && row.label == wanted.lock_by && row.grant.is_some();
            if row.expires_at > now && mine && self.is(Wrong::RetriesAreRefused) {
                return Ok(AcquireAnswer::Held(row.holder(now)));
            }
            if row.expires_at > now && mine && !self.is(Wrong::RetriesGetNewTokens) {
                let mut row = row.clone();
                row.expires_at = row.expires_at.max(now + wanted.lease);
                if self.is(Wrong::RetriesBeginAnew) {
                    row.locked_at = now;
                }
                let answer = AcquireAnswer::granted(FencingToken::new(row.token), row.expires_at - now);
                rows.insert(self.key(&wanted.name), row);
                return Ok(answer);
            }
            if row.expires_at > now && !mine && !self.is(Wrong::EverybodyWins) {
                return Ok(AcquireAnswer::Held(row.holder(now)));
            }
        }
        let token = self.next_token(row.map(|row| row.token), Operation::Acquire)?;
        let mut granted = Row::granted(wanted, token, now);
        if let Some(row) = row {
            (granted.released, granted.waiters_until) = (row.released, row.waiters_until);
            if self.is(Wrong::UpdatesForgetWho) {
                granted.label = row.label.clone();
            }
            if self.is(Wrong::UpdatesForgetSinceWhen) {
                granted.locked_at = row.locked_at;
            }
        }
        rows.insert(self.key(&wanted.name), granted);
        Ok(AcquireAnswer::granted(FencingToken::new(token), wanted.lease))
    }

    fn renew_one(&self, wanted: &RenewRequest) -> RenewAnswer {
        let mut rows = self.rows();
        let now = now();
        let Some(row) = rows.get_mut(&self.key(&wanted.name)) else {
            return RenewAnswer::Lost(LostReason::RowGone);
        };
        if row.released == Some(wanted.grant) {
            return RenewAnswer::Lost(LostReason::Revoked);
        }
        let is_holder = row.grant == Some(wanted.grant) || self.is(Wrong::AnybodyRenews);
        if !is_holder || row.token != wanted.token.get() {
            return RenewAnswer::Lost(LostReason::Taken);
        }
        if row.expires_at <= now && !self.is(Wrong::RenewalsRevive) {
            return RenewAnswer::Lost(LostReason::Expired);
        }
        if self.is(Wrong::RenewalsBeginAnew) {
            row.locked_at = now;
        }
        let until = now + wanted.lease;
        row.expires_at = if self.is(Wrong::RenewalsShorten) { until } else { row.expires_at.max(until) };
        RenewAnswer::renewed(row.expires_at - now)
    }

    fn release_one(&self, wanted: &ReleaseRequest) -> Result<ReleaseAnswer, StoreError> {
        let mut rows = self.rows();
        let now = now();
        let key = self.key(&wanted.name);
        let Some(row) = rows.get_mut(&key) else {
            let token = self.next_token(None, Operation::Release)?;
            if !self.is(Wrong::UndosMakeNoRow) {
                rows.insert(key, Row::tombstone(wanted, token, now));
            }
            return Ok(ReleaseAnswer::NotYours(LostReason::RowGone));
        };
        if row.released == Some(wanted.grant) && !self.is(Wrong::ForgetsReleasedGrants) {
            return Ok(ReleaseAnswer::AlreadyReleased);
        }
        if row.grant != Some(wanted.grant) && !self.is(Wrong::AnybodyReleases) {
            if !self.is(Wrong::UndosBehindAHolderAreForgotten) {
                row.released = Some(wanted.grant);
            }
            return Ok(ReleaseAnswer::NotYours(LostReason::Taken));
        }
        row.released = Some(wanted.grant);
        if !self.is(Wrong::ReleasesKeepTheGrant) {
            row.grant = None;
        }
        let kept = match self.wrong {
            Some(Wrong::IgnoresLockAtLeast) => now,
            _ => now.max(row.locked_at + wanted.lock_at_least),
        };
        self.wake_if(kept < row.expires_at, row, now);
        row.expires_at = if self.is(Wrong::LockAtLeastProlongs) { kept } else { row.expires_at.min(kept) };
        if self.is(Wrong::ReleasesForgetTokens) {
            row.token = 0;
        }
        Ok(ReleaseAnswer::Released)
    }

    fn fence(
        &self,
        name: &LockName,
        doing: Operation,
        at_once: bool,
    ) -> Result<Option<FencingToken>, StoreError> {
        let mut rows = self.rows();
        let now = now();
        let Some(row) = rows.get_mut(&self.key(name)).filter(|row| row.expires_at > now) else {
            return Ok(None);
        };
        if !self.is(Wrong::RevokesDoNotFence) {
            row.token = self.next_token(Some(row.token), doing)?;
        }
        row.released = row.grant.take().or(row.released);
        if at_once || self.is(Wrong::RevokesFreeAtOnce) {
            self.wake_if(!self.is(Wrong::ForcedUnlocksWakeNobody), row, now);
            row.expires_at = now;
        }
        Ok(Some(FencingToken::new(row.token)))
    }

    /// Tells those who wait for the name, if any do.
    fn wake_if(&self, ends_sooner: bool, row: &Row, now: Duration) {
        if ends_sooner && row.waiters_until > now {
            // An error says that nobody listens.
            let _ = self.freed.send(row.name.clone());
        }
    }
}

#[async_trait]
impl LockStore for Toy {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("toy", 100, Duration::from_secs(5), true, i64::MAX).handing_over()
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        if self.is(Wrong::LooksBeforeItLeaps) {
            let [wanted] = requests else { panic!("one by one") };
            let free = self.inspect(&wanted.name).await?.is_none();
            tokio::task::yield_now().await;
            let leap = Self { wrong: free.then_some(Wrong::EverybodyWins), ..self.clone() };
            return Ok(vec![leap.acquire_one(wanted)?]);
        }
        let mut requests = requests.to_vec();
        if self.is(Wrong::AnswersInTheOrderOfNames) {
            requests.sort_by_key(|wanted| wanted.name.clone());
        }
        if let (true, Some(first)) = (self.is(Wrong::BatchesHaveOneLease), requests.first().cloned()) {
            requests.iter_mut().for_each(|wanted| wanted.lease = first.lease);
        }
        requests.iter().map(|wanted| self.acquire_one(wanted)).collect()
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let mut requests = requests.to_vec();
        if let (true, Some(first)) = (self.is(Wrong::BatchesHaveOneLease), requests.first().cloned()) {
            requests.iter_mut().for_each(|wanted| wanted.lease = first.lease);
        }
        Ok(requests.iter().map(|wanted| self.renew_one(wanted)).collect())
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        requests.iter().map(|wanted| self.release_one(wanted)).collect()
    }

    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        let HandOverRequest { release, next, .. } = request;
        let others_come_first = self.rows().get(&self.key(&next.name)).is_some_and(|row| {
            row.released == Some(next.grant)
                || row.waiters_until > now() && !self.is(Wrong::HandsOverPastOthers)
        });
        let released = self.release_one(release)?;
        let by_force = || Self { wrong: Some(Wrong::EverybodyWins), ..self.clone() }.acquire_one(next);
        let next = match self.wrong {
            Some(Wrong::HandsOverWhatItDoesNotHold | Wrong::LockAtLeastSparesTheNext) => by_force()?,
            Some(Wrong::HandsOverToUndoneGrants) => self.acquire_one(next)?,
            _ if released == ReleaseAnswer::Released && !others_come_first => self.acquire_one(next)?,
            _ => AcquireAnswer::Raced,
        };
        Ok(HandOverAnswer::new(released, next))
    }

    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        let (mut rows, now) = (self.rows(), now());
        for mark in requests {
            if let Some(row) = rows.get_mut(&self.key(&mark.name)) {
                row.waiters_until = row.waiters_until.max(now + mark.standing);
            }
        }
        Ok(())
    }

    fn wakeups(&self) -> Option<Wakeups> {
        if self.is(Wrong::ListenersOutliveTheirStore) {
            std::mem::forget(self.connection.clone());
        }
        let freed = stream::unfold(self.freed.subscribe(), async |mut freed| {
            let event = match freed.recv().await {
                Ok(name) => Wakeup::Freed(name),
                Err(RecvError::Lagged(_)) => Wakeup::Listening,
                Err(RecvError::Closed) => return None,
            };
            Some((event, freed))
        });
        Some(Box::pin(stream::iter([Wakeup::Listening]).chain(freed)))
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        let rows = self.rows();
        Ok(rows.get(&self.key(name)).and_then(|row| row.info(now())))
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let rows = self.rows();
        let now = now();
        let mut listed: Vec<LockInfo> = rows
            .values()
            .filter(|row| match self.wrong {
                Some(Wrong::PrefixesArePatterns) if request.prefix.starts_with('%') => true,
                _ => row.name.as_str().starts_with(&request.prefix),
            })
            .filter(|row| request.after.as_ref().is_none_or(|after| row.name > *after))
            .take(if self.is(Wrong::FreeNamesMakePagesShort) { request.limit } else { usize::MAX })
            .filter_map(|row| row.info(now))
            .collect();
        listed.sort_by_key(|info| match self.wrong {
            Some(Wrong::ListsInAlphabeticalOrder) => info.name.as_str().to_lowercase(),
            _ => info.name.as_str().to_owned(),
        });
        listed.truncate(request.limit);
        Ok(listed)
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(name, Operation::Revoke, false)
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(name, Operation::ForceUnlock, true)
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let (before, now) = (rows.len(), now());
        rows.retain(|_, row| match self.wrong {
            Some(Wrong::PurgesWhatIsKept) if row.grant.is_none() => false,
            Some(Wrong::PurgesTokensAheadOfTheClock) => row.expires_at + idle_for > now,
            Some(Wrong::PurgesCountFromTheGrant) => {
                row.expires_at > now || row.locked_at + idle_for > now || row.token >= micros(now)
            }
            _ => row.expires_at + idle_for > now || row.token >= micros(now),
        });
        Ok((before - rows.len()) as u64)
    }

    fn schema(&self) -> String {
        "-- none".to_owned()
    }
}

#[allow(clippy::disallowed_methods, reason = "a toy is its own server")]
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}
