//! Servers behind sentinels.

use std::time::Duration;

use golock_conformance::Pause;
use golock_core::store::{LockStore, StoreErrorKind};
use golock_core::{LockOptions, LostReason};
use golock_redis::RedisStore;

use crate::own::Own;
use crate::server::Admin;
use crate::{acquisition, grant, name, release, take, why};

const AWHILE: Duration = Duration::from_millis(20);

/// It is frozen, and its replica takes over. (A container that is gone leaves its address to the next, which the sentinel would take for
/// its own.)
pub(crate) async fn a_lease_outlives_its_primary(primary: &Own) {
    let replica = primary.another(&["--replicaof", &primary.host().await, "6379"]).await;
    let sentinel = primary.sentinel().await;
    let known = async || sentinel.run(&["SENTINEL", "REPLICAS", "main"]).await;
    let host = replica.host().await;
    while !known().await.contains(&host) || known().await.contains("disconnected") {
        tokio::time::sleep(AWHILE).await;
    }
    let url = format!("redis-sentinel://{}:6379?sentinelServiceName=main", sentinel.host().await);
    let locker = golock_redis::connect(&url).await.unwrap();
    let options = LockOptions::new("job").lock_at_most(Duration::from_secs(12)).auto_renew(true);
    let lock = locker.try_lock(options).await.unwrap();
    // What is asked is lost if the sentinel ends the connection meanwhile, as it does when it promotes a server.
    let end = async || {
        let asked =
            async { Admin::connect(replica.url()).await?.run(&["HGET", "golock:job", "expires_at"]).await };
        tokio::time::timeout(Duration::from_secs(1), asked)
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
    };
    let before = loop {
        match end().await {
            end if end.is_empty() => tokio::time::sleep(AWHILE).await,
            end => break end,
        }
    };
    primary.as_ref().pause().await.unwrap();
    let renewed = async {
        while end().await <= before {
            tokio::time::sleep(AWHILE).await;
        }
    };
    let outcome: Result<(), LostReason> = tokio::select! {
        () = renewed => Ok(()),
        lost = lock.lost() => Err(lost),
    };
    assert_eq!(outcome, Ok(()));
    lock.unlock().await.unwrap();
}

pub(crate) async fn a_sentinel_that_says_nothing_is_passed_over(primary: &Own) {
    let (sentinel, frozen) = (primary.sentinel().await, primary.sentinel().await);
    frozen.as_ref().pause().await.unwrap();
    let hosts = [sentinel.host().await, frozen.host().await];
    for (at, [one, two]) in [[&hosts[0], &hosts[1]], [&hosts[1], &hosts[0]]].into_iter().enumerate() {
        let url = format!("redis-sentinel://{one}:6379?node={two}:6379&sentinelServiceName=main");
        let store =
            RedisStore::builder().request_timeout(Duration::from_secs(2)).connect(&url).await.unwrap();
        take(&store, &name(&format!("job {at}"))).await;
    }
}

/// It was demoted, or its replicas have left it for another, and nothing ended its connections.
pub(crate) async fn a_server_that_is_not_written_to_any_more_is_left(primary: &Own) {
    let sentinel = primary.sentinel().await;
    let next = primary.another(&[]).await;
    for (server, other, refuse) in [
        (primary, &next, &["CONFIG", "SET", "min-replicas-to-write", "1"][..]),
        (&next, primary, &["REPLICAOF", &primary.host().await, "6379"]),
    ] {
        let monitor = async |server: &Own| {
            sentinel.run(&["SENTINEL", "REMOVE", "main"]).await;
            sentinel.run(&["SENTINEL", "MONITOR", "main", &server.host().await, "6379", "1"]).await;
        };
        monitor(server).await;
        let url = format!("redis-sentinel://{}:6379?sentinelServiceName=main", sentinel.host().await);
        let store = RedisStore::connect(&url).await.unwrap();
        let (before, job) = (name("before"), name(refuse[0]));
        let (id, _) = take(&store, &before).await;
        release(&store, &before, id).await;
        monitor(other).await;
        server.run(refuse).await;
        let error = store.acquire(&[acquisition(&job, grant())]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", why(&error));
        other.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
        take(&store, &job).await;
        assert_ne!(other.run(&["EXISTS", &format!("golock:{}", refuse[0])]).await, "0", "it is there");
    }
}

/// While the others can't be asked, one that was set up wrongly is no reason to give up.
pub(crate) async fn a_sentinel_that_knows_nothing_is_not_the_last_word(primary: &Own) {
    let sentinel = primary.sentinel().await;
    let host = sentinel.host().await;
    for wrong in [
        "sentinelServiceName=mian",
        "sentinelServiceName=main&sentinelUsername=nobody&sentinelPassword=sesame",
    ] {
        let url = format!("redis-sentinel://{host}:6379?node=127.0.0.1:1&{wrong}");
        let error = RedisStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", why(&error));
        assert!(["mian", "WRONGPASS"].iter().any(|said| why(&error).contains(said)), "{}", why(&error));
    }
}

pub(crate) async fn what_a_sentinel_refuses_is_told(primary: &Own) {
    let sentinel = primary.sentinel().await;
    let host = sentinel.host().await;
    for (wrong, kind) in [
        ("sentinelServiceName=mian", StoreErrorKind::Configuration),
        (
            "sentinelServiceName=main&sentinelUsername=nobody&sentinelPassword=sesame",
            StoreErrorKind::Authentication,
        ),
    ] {
        let url = format!("redis-sentinel://{host}:6379?{wrong}");
        let error = RedisStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", why(&error));
        assert!(!why(&error).contains("sesame"), "{}", why(&error));
    }
}
