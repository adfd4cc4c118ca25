//! The store: each operation is one script per name, in one round trip.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use fred::error::Error as DriverError;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::scan::ScanType;
use fred::types::{Key, Value};
use golock_core::backend::{micros, page_by_page};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, Capabilities, HandOverAnswer, HandOverRequest, ListRequest, LockInfo,
    LockStore, MarkRequest, Operation, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest, StoreError,
    StoreErrorKind, Wakeups,
};
use golock_core::{FencingToken, LockName, async_trait};

use crate::answers::Reply;
use crate::builder::RedisStoreBuilder;
use crate::error::{BACKEND, call_failed, failure};
use crate::keys::Prefix;
use crate::lane::{Lane, Replicas};
use crate::scripts::{self, Script};
use crate::servers::Servers;
use crate::session::{Call, Common};
use crate::{listener, schema};

/// The most names in one script, while which the server does nothing else: 10,000 leases of 30 s are renewed by less than two
/// commands a second, of 4 ms where that was measured (on a small machine: 5.7 µs a name).
const MAX_BATCH: usize = 700;

/// How many names an operator's call looks at in one script. It need not be fast.
const LOOKED_AT: usize = 100;

/// The largest token that `lua/prelude.lua` makes.
const MAX_TOKEN: i64 = 9_007_199_254_740_990;

/// How many keys the server looks at in one step of a scan, during which it does nothing else: about a millisecond.
const SCAN_STEP: u32 = 2_000;

/// Locks in Redis or Valkey.
///
/// A [`Locker`](golock_core::Locker) is what locks; this is what it is built on. The crate's page says what is
/// promised, and what it costs.
pub struct RedisStore {
    servers: Arc<Servers>,
    prefix: Prefix,
    request_timeout: Duration,
    replicas: Option<Replicas>,
    acquiring: Lane,
    /// Renewals and releases: not behind acquires, nor behind what those wait for.
    keeping: Lane,
}

impl RedisStore {
    /// A store whose keys begin with `golock:`, with connections of its own, opened as `client` (a fred `Client` or
    /// `Pool`) opens its own. None is opened yet: see [`RedisStoreBuilder::build`].
    pub fn new(client: &impl ClientLike) -> Self {
        match Self::builder().build(client) {
            Ok(store) => store,
            Err(error) => unreachable!("the defaults are what they may be: {error}"),
        }
    }

    /// A store on the server at `url`, whose keys begin with `golock:`: see [`RedisStoreBuilder::connect`].
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Sets up a store: prefix, timeout, retention of tokens, replicas.
    pub fn builder() -> RedisStoreBuilder {
        RedisStoreBuilder::new()
    }

    /// Opens its connections, if that is not done yet, and looks whether locks can be had: so that what is wrong is told
    /// at once. The first call of a lock does the same.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the rest to the first call.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.acquiring.sessions().await?;
        self.keeping.sessions().await.map(drop)
    }

    pub(crate) fn over(servers: Arc<Servers>, prefix: Prefix, options: &RedisStoreBuilder) -> Self {
        let retention = i64::try_from(options.token_retention.as_millis()).unwrap_or(i64::MAX);
        let common: Common = [retention.into(), prefix.as_str().into()];
        let lane = || Lane::new(servers.clone(), options.allow_eviction, common.clone());
        Self {
            acquiring: lane(),
            keeping: lane(),
            servers,
            prefix,
            request_timeout: options.request_timeout,
            replicas: options.replicas,
        }
    }

    /// A call on a name, with the arguments that are the script's own.
    fn call(&self, name: &LockName, own: impl IntoIterator<Item = Value>) -> Call {
        Call { key: self.prefix.key(name), arguments: own.into_iter().collect() }
    }

    /// An error if too few replicas have confirmed what was done, or the server does not say how many.
    fn confirmed(
        &self,
        operation: Operation,
        replicas: Result<Option<i64>, DriverError>,
        kind: StoreErrorKind,
    ) -> Result<(), StoreError> {
        let Some(Replicas { count, within }) = self.replicas else { return Ok(()) };
        let confirmed = replicas.map_err(|error| call_failed(operation, error).of_a_part())?.unwrap_or(0);
        if confirmed >= i64::from(count) {
            return Ok(());
        }
        let why = format!("{confirmed} of {count} replicas confirmed it within {within:?}");
        Err(failure(operation, kind, why))
    }

    /// Takes grants back that too few replicas have confirmed. Only then may the error say that nothing was done.
    async fn withdraw(&self, granted: Vec<(&AcquireRequest, i64)>) -> Result<(), StoreError> {
        let calls: Vec<_> = granted
            .into_iter()
            .map(|(request, until)| {
                self.call(&request.name, [request.grant.to_string().into(), until.into()])
            })
            .collect();
        let withdrawn = self.keeping.run(Operation::Acquire, &scripts::WITHDRAW, &calls, None).await;
        withdrawn.map(drop).map_err(|error| {
            let why = format!("too few replicas confirmed it, and it could not be taken back: {error}");
            failure(Operation::Acquire, StoreErrorKind::Timeout, why)
        })
    }

    async fn fence(&self, operation: Operation, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        let how = if operation == Operation::ForceUnlock { "force" } else { "revoke" };
        let call = self.call(name, [Value::from_static_str(how)]);
        self.acquiring.run_one(operation, &scripts::FENCE, call).await?.verdict(operation).fenced()
    }

    /// The names of all keys whose names begin with `names`, in the order of their bytes; some may be free.
    ///
    /// A scan sees every key that is there from its beginning to its end, some twice.
    async fn scan(&self, operation: Operation, names: &str) -> Result<BTreeSet<LockName>, StoreError> {
        let pattern = self.prefix.pattern(names);
        let mut found = BTreeSet::new();
        for session in self.acquiring.sessions().await? {
            let mut cursor = "0".to_owned();
            loop {
                let step = session.link().client().scan_page::<(String, Vec<Key>), _, _>(
                    cursor,
                    pattern.clone(),
                    Some(SCAN_STEP),
                    Some(ScanType::Hash),
                );
                let (next, keys) =
                    session.answer(step).await.map_err(|error| call_failed(operation, error))?;
                found.extend(keys.iter().filter_map(|key| self.prefix.name(key.as_bytes())));
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(found)
    }

    /// Runs a script for each of these names, all at once.
    async fn run_each(
        &self,
        operation: Operation,
        script: &Script,
        names: &[LockName],
        own: &[Value],
    ) -> Result<Vec<Reply>, StoreError> {
        let calls: Vec<_> = names.iter().map(|name| self.call(name, own.iter().cloned())).collect();
        Ok(self.acquiring.run(operation, script, &calls, None).await?.replies)
    }
}

#[async_trait]
impl LockStore for RedisStore {
    fn capabilities(&self) -> Capabilities {
        // WAIT is for one node: what it is to confirm has to be there.
        let max_batch =
            if self.replicas.is_some() && self.servers.cluster().is_some() { 1 } else { MAX_BATCH };
        let can = Capabilities::new(BACKEND, max_batch, self.request_timeout, true, MAX_TOKEN).in_batches();
        // What replicas have to confirm is granted, and withdrawn if they do not, by itself.
        if self.replicas.is_some() { can } else { can.handing_over() }
    }

    async fn acquire(&self, requests: &[AcquireRequest]) -> Result<Vec<AcquireAnswer>, StoreError> {
        let doing = Operation::Acquire;
        let calls: Vec<_> = requests
            .iter()
            .map(|request| {
                let grant = request.grant.to_string();
                self.call(
                    &request.name,
                    [grant.into(), request.lock_by.as_str().into(), micros(request.lease).into()],
                )
            })
            .collect();
        let landed = self.acquiring.run(doing, &scripts::ACQUIRE, &calls, self.replicas).await?;
        let answers: Vec<_> =
            landed.replies.iter().map(|reply| reply.verdict(doing).acquired()).collect::<Result<_, _>>()?;
        let granted: Vec<_> = requests
            .iter()
            .zip(&landed.replies)
            .filter_map(|(request, reply)| Some((request, reply.granted_until()?)))
            .collect();
        if !granted.is_empty()
            && let Err(error) = self.confirmed(doing, landed.replicas, StoreErrorKind::Unavailable)
        {
            self.withdraw(granted).await?;
            return Err(error);
        }
        Ok(answers)
    }

    async fn renew(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let doing = Operation::Renew;
        let calls: Vec<_> = requests
            .iter()
            .map(|request| {
                let (grant, token) = (request.grant.to_string(), request.token.get());
                self.call(&request.name, [grant.into(), token.into(), micros(request.lease).into()])
            })
            .collect();
        let landed = self.keeping.run(doing, &scripts::RENEW, &calls, self.replicas).await?;
        // The leases are longer by now, but a failover may forget that. It is so for each: one by one they would wait as often.
        self.confirmed(doing, landed.replicas, StoreErrorKind::Unavailable)?;
        landed.replies.iter().map(|reply| reply.verdict(doing).renewed()).collect()
    }

    async fn release(&self, requests: &[ReleaseRequest]) -> Result<Vec<ReleaseAnswer>, StoreError> {
        let doing = Operation::Release;
        let calls: Vec<_> = requests
            .iter()
            .map(|request| {
                let grant = request.grant.to_string();
                self.call(&request.name, [grant.into(), micros(request.lock_at_least).into()])
            })
            .collect();
        let landed = self.keeping.run(doing, &scripts::RELEASE, &calls, None).await?;
        landed.replies.iter().map(|reply| reply.verdict(doing).released()).collect()
    }

    async fn hand_over(&self, request: &HandOverRequest) -> Result<HandOverAnswer, StoreError> {
        let HandOverRequest { release, next, .. } = request;
        let own: [Value; 5] = [
            release.grant.to_string().into(),
            micros(release.lock_at_least).into(),
            next.grant.to_string().into(),
            next.lock_by.as_str().into(),
            micros(next.lease).into(),
        ];
        let (doing, call) = (Operation::HandOver, self.call(&release.name, own));
        self.keeping.run_one(doing, &scripts::HAND_OVER, call).await?.verdict(doing).handed_over()
    }

    async fn mark_waiting(&self, requests: &[MarkRequest]) -> Result<(), StoreError> {
        let calls: Vec<_> =
            requests.iter().map(|mark| self.call(&mark.name, [micros(mark.standing).into()])).collect();
        self.acquiring.run(Operation::MarkWaiting, &scripts::MARK_WAITING, &calls, None).await.map(drop)
    }

    fn wakeups(&self) -> Option<Wakeups> {
        Some(listener::wakeups(self.servers.clone(), self.prefix.clone()))
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>, StoreError> {
        let doing = Operation::Inspect;
        let reply = self.acquiring.run_one(doing, &scripts::INSPECT, self.call(name, [])).await?;
        reply.verdict(doing).info(name.clone())
    }

    async fn list(&self, request: &ListRequest) -> Result<Vec<LockInfo>, StoreError> {
        let doing = Operation::List;
        let after = request.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let names = self.scan(doing, &request.prefix).await?;
        let names: Vec<_> = names.range::<LockName, _>((after, Bound::Unbounded)).cloned().collect();
        let mut held = Vec::new();
        // Many names may be free: only as many are looked at as the page takes.
        for names in names.chunks(LOOKED_AT) {
            let replies = self.run_each(doing, &scripts::INSPECT, names, &[]).await?;
            for (name, reply) in names.iter().zip(replies) {
                held.extend(reply.verdict(doing).info(name.clone())?);
            }
            if held.len() >= request.limit {
                break;
            }
        }
        held.truncate(request.limit);
        Ok(held)
    }

    async fn revoke(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::Revoke, name).await
    }

    async fn force_unlock(&self, name: &LockName) -> Result<Option<FencingToken>, StoreError> {
        self.fence(Operation::ForceUnlock, name).await
    }

    async fn purge(&self, idle_for: Duration) -> Result<u64, StoreError> {
        let doing = Operation::Purge;
        let names: Vec<_> = self.scan(doing, "").await?.into_iter().collect();
        let (names, own) = (&*names, &[Value::from(micros(idle_for))]);
        let page = |start: usize| async move {
            let end = names.len().min(start + LOOKED_AT);
            let replies = self.run_each(doing, &scripts::PURGE, &names[start..end], own).await?;
            let purged = replies.iter().filter(|reply| reply.word() == "purged").count() as u64;
            Ok((purged, (end < names.len()).then_some(end)))
        };
        page_by_page(0, page).await
    }

    fn schema(&self) -> String {
        schema::text(&self.prefix)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.servers.setup().hosts().iter().map(ToString::to_string).collect();
        f.debug_struct("RedisStore")
            .field("servers", &servers)
            .field("prefix", &self.prefix.as_str())
            .finish_non_exhaustive()
    }
}
