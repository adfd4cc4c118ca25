//! Setting up a store.

use std::sync::Arc;
use std::time::Duration;

use fred::interfaces::ClientLike;
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::RedisStore;
use crate::error::failure;
use crate::keys::Prefix;
use crate::lane::Replicas;
use crate::servers::Servers;
use crate::setup::Setup;
use crate::url;

/// Sets up a [`RedisStore`]: [`RedisStore::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct RedisStoreBuilder {
    pub(crate) prefix: String,
    pub(crate) token_retention: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) replicas: Option<Replicas>,
    pub(crate) allow_eviction: bool,
}

impl RedisStoreBuilder {
    /// What keys begin with when nothing else is said.
    pub const DEFAULT_PREFIX: &'static str = "golock:";
    /// How long a free name is remembered when nothing else is said: 7 days.
    pub const DEFAULT_TOKEN_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// How long a request may take when nothing else is said: 5 s.
    pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

    pub(crate) fn new() -> Self {
        Self {
            prefix: Self::DEFAULT_PREFIX.to_owned(),
            token_retention: Self::DEFAULT_TOKEN_RETENTION,
            request_timeout: Self::DEFAULT_REQUEST_TIMEOUT,
            replicas: None,
            allow_eviction: false,
        }
    }

    /// What all keys begin with, and the channel that tells of freed names: 1 to 255 bytes without NUL. Default:
    /// `golock:`. The key of a lock is the prefix and then its name, so stores whose prefixes begin alike (`a:` and
    /// `a:b:`) may share some.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a name is remembered once it is free: its last token, and its last released grant. Default: 7 days.
    /// At least a minute, and twice the request timeout; at most 100 years. Then the server deletes its key (PEXPIRE): after up to
    /// twice that time, if its last lease was to last long.
    ///
    /// Tokens grow all the same, for a new one is never less than the server's time in µs. What is remembered counts
    /// only if the server's clock is set back.
    pub fn token_retention(mut self, retention: Duration) -> Self {
        self.token_retention = retention;
        self
    }

    /// How long a request may take: 10 ms to an hour. Default: 5 s. Opening a connection takes no longer either. What
    /// reaches the server later than this after it was sent is not executed any more: each request carries that time,
    /// by the server's clock.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Grants and renewals count only when `replicas` replicas have confirmed (by WAIT) that they have received them
    /// within `timeout`, at most half of the request timeout. A grant that too few have confirmed is taken back, and the
    /// error is of the kind [`Unavailable`](StoreErrorKind::Unavailable). Default: none; 0 means none.
    ///
    /// It makes it less likely that a failover forgets a grant, and costs the replicas' round trip. It does not
    /// exclude it: Sentinel may promote a replica that has not confirmed. See *What it rests on* on the crate's page.
    pub fn wait_for_replicas(mut self, replicas: u32, timeout: Duration) -> Self {
        self.replicas = (replicas > 0).then_some(Replicas { count: replicas, within: timeout });
        self
    }

    /// Whether to lock on a server that has a `maxmemory` and a `maxmemory-policy` other than `noeviction`, too. Default:
    /// no. Such a server may delete a lock that is held, and another may have it at once: only the token protects then.
    pub fn allow_eviction(mut self, allow: bool) -> Self {
        self.allow_eviction = allow;
        self
    }

    /// A store with connections of its own, opened as `client` (a fred `Client` or `Pool`) opens its own: its servers,
    /// user, password, TLS. None is opened yet, and none of the client's is used: its blocking commands, timeouts and
    /// re-sending don't concern locks.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the prefix or a time is not what it may be.
    pub fn build(self, client: &impl ClientLike) -> Result<RedisStore, StoreError> {
        self.over(Setup::of(client))
    }

    /// A store on the server at `url`: `redis://user:password@host:6379/0`; `rediss://` for TLS; `redis-cluster://`,
    /// `redis-sentinel://` as [fred](fred::types::config::Config::from_url) has them; `valkey` for `redis` is the same.
    /// Its two connections (in a Cluster: two to each primary, all of which it needs) are opened before this
    /// returns.
    ///
    /// # Errors
    /// [`StoreError`], transient if the server could not be reached in time.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(self, url: &str) -> Result<RedisStore, StoreError> {
        let store = self.connect_lazy(url)?;
        store.ready().await?;
        Ok(store)
    }

    /// As [`connect`](Self::connect), but opens nothing yet: the first call of a lock does. So a service can start while its
    /// server is down, and hears of it when it locks.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the URL, or something that was set, can't be right; [`StoreErrorKind::Tls`] if it
    /// asks for TLS and this system trusts no certificate authority.
    pub fn connect_lazy(self, url: &str) -> Result<RedisStore, StoreError> {
        self.over(url::parse(url)?)
    }

    fn over(self, setup: Setup) -> Result<RedisStore, StoreError> {
        let wrong = |why: &str| Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
        let Some(prefix) = Prefix::new(&self.prefix) else {
            return wrong("the prefix has 1 to 255 bytes without NUL");
        };
        let timeout = self.request_timeout;
        if !(Duration::from_millis(10)..=Duration::from_secs(60 * 60)).contains(&timeout) {
            return wrong("the request timeout is 10 ms to an hour");
        }
        let longest = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        if self.token_retention < Duration::from_secs(60).max(timeout * 2) || self.token_retention > longest {
            return wrong(
                "tokens are kept for at least a minute and twice the request timeout, and at most 100 years",
            );
        }
        if self.replicas.is_some_and(|replicas| replicas.within > timeout / 2) {
            return wrong("replicas are waited for no longer than half of the request timeout");
        }
        Ok(RedisStore::over(Arc::new(Servers::new(setup.answering_within(timeout))), prefix, &self))
    }
}

#[cfg(test)]
mod tests {
    use golock_core::{LockStore, StoreErrorKind};

    use crate::RedisStore;

    #[tokio::test]
    async fn lazy_store_opens_nothing_before_its_first_call() {
        const NOBODY: &str = "redis://user:secret@127.0.0.1:1";
        let builder = || RedisStore::builder().prefix("ops:");
        let store = builder().connect_lazy(NOBODY).unwrap();
        assert!(store.schema().contains("'~ops:*'"), "{}", store.schema());
        assert!(store.ready().await.unwrap_err().is_transient());
        for wrong in [builder().connect_lazy("secret"), builder().prefix("").connect_lazy(NOBODY)] {
            assert_eq!(wrong.unwrap_err().kind(), StoreErrorKind::Configuration);
        }
    }
}
