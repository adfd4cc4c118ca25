//! Servers that are set up differently: with replicas, users, eviction, several databases, as a Cluster.

use std::time::Duration;

use futures_util::StreamExt;
use golock_conformance::servers::url_as;
use golock_core::store::{
    AcquireAnswer, ListRequest, LockStore, MarkRequest, ReleaseAnswer, RenewAnswer, RenewRequest,
    StoreErrorKind, Wakeup,
};
use golock_core::{LockOptions, Locker};
use golock_redis::RedisStore;
use golock_redis::fred::clients::Client;
use golock_redis::fred::types::config::Config;

use crate::own::Own;
use crate::{LONG, acquisition, grant, name, release, take, why};

pub(crate) async fn too_few_replicas_are_told_and_the_lock_is_free_again(server: &Own) {
    let within = Duration::from_millis(50);
    let store = RedisStore::builder().wait_for_replicas(1, within).connect(server.url()).await.unwrap();
    let (job, id) = (name("job"), grant());
    for _ in 0..2 {
        // The same grant: it may ask again.
        let error = store.acquire(&[acquisition(&job, id)]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", why(&error));
        assert!(why(&error).contains("0 of 1 replicas confirmed"), "{}", why(&error));
        assert_eq!(store.inspect(&job).await.unwrap(), None);
    }
    let anyone = RedisStore::connect(server.url()).await.unwrap();
    take(&anyone, &job).await;
    // Who is refused needs no replica.
    let answers = store.acquire(&[acquisition(&job, id)]).await.unwrap();
    assert!(matches!(answers[..], [AcquireAnswer::Held(_)]), "{answers:?}");

    // A waiter gets its lock when there is a replica.
    let locker = Locker::new(store);
    let waiting = tokio::spawn({
        let locker = locker.clone();
        async move { locker.lock(LockOptions::new("later")).await }
    });
    let replica = server.another(&["--replicaof", &server.host().await, "6379"]).await;
    let lock = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap().unwrap();
    lock.extend(LONG).await.unwrap();
    lock.unlock().await.unwrap();

    // The replica takes no locks.
    let error = RedisStore::connect(replica.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{}", why(&error));
}

pub(crate) async fn a_user_by_the_schema_can_do_everything_and_no_more(server: &Own) {
    for prefix in ["golock:", "my own [locks]*?\\ {a}:"] {
        let builder = || RedisStore::builder().prefix(prefix);
        let admin = server.admin().await;
        let schema = builder().connect(server.url()).await.unwrap().schema();
        let rules = schema.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
        let words: Vec<_> = rules.split(' ').map(|word| word.trim_matches('\'')).collect();
        admin.run(&[&words[..], &[">secret"]].concat()).await.unwrap();
        admin.run(&["ACL", "LOG", "RESET"]).await.unwrap();

        let url = url_as(server.url(), words[2], "secret");
        let store = builder().wait_for_replicas(1, Duration::from_millis(1)).connect(&url).await.unwrap();
        let error = store.acquire(&[acquisition(&name("job"), grant())]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", why(&error));

        let store = builder().connect(&url).await.unwrap();
        everything(&store).await;
        let elsewhere = RedisStore::builder().prefix("elsewhere:").connect(&url).await.unwrap();
        let error = elsewhere.acquire(&[acquisition(&name("job"), grant())]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Permission, "{}", why(&error));
        let denied = admin.run(&["ACL", "LOG"]).await.unwrap();
        assert_eq!(denied.lines().count(), 1, "only what is elsewhere: {denied}");
    }
}

pub(crate) async fn a_server_that_may_evict_locks_is_refused_by_the_settings_name(server: &Own) {
    let error = RedisStore::connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration);
    assert!(why(&error).contains("maxmemory-policy"), "{}", why(&error));
    let store = RedisStore::builder().allow_eviction(true).connect(server.url()).await.unwrap();
    take(&store, &name("job")).await;
}

pub(crate) async fn a_password_that_was_changed_is_told(server: &Own) {
    let admin = server.admin().await;
    let url = url_as(server.url(), "service", "old");
    admin.user("service", "old", "allkeys allchannels +@all").await.unwrap();
    let store = RedisStore::connect(&url).await.unwrap();
    take(&store, &name("job")).await;
    admin.user("service", "new", "allkeys allchannels +@all").await.unwrap();
    admin.run(&["CLIENT", "KILL", "USER", "service"]).await.unwrap();
    let error = loop {
        // What was under way when the connection ended is told as that.
        let error = store.acquire(&[acquisition(&name("job"), grant())]).await.unwrap_err();
        if error.kind() != StoreErrorKind::Connection {
            break error;
        }
    };
    assert_eq!(error.kind(), StoreErrorKind::Authentication, "{}", why(&error));
}

pub(crate) async fn an_applications_client_lends_its_settings_and_no_connection(server: &Own) {
    // Neither connected nor ever used.
    let client = Client::new(Config::from_url(&format!("{}/3", server.url())).unwrap(), None, None, None);
    let store = RedisStore::new(&client);
    take(&store, &name("job")).await;
    assert_eq!(server.run(&["EVAL", "redis.call('SELECT', 3) return redis.call('DBSIZE')", "0"]).await, "1");
}

pub(crate) async fn a_cluster_is_served_whatever_the_names(server: &Own) {
    let admin = server.admin().await;
    admin.run(&["CONFIG", "SET", "cluster-announce-ip", &server.host().await]).await.unwrap();
    admin.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await.unwrap();
    while !admin.run(&["CLUSTER", "INFO"]).await.unwrap().contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let store = RedisStore::connect(&format!("redis-cluster://{}:6379", server.host().await)).await.unwrap();
    everything(&store).await;
    let names: Vec<_> = ["}", "{", "{}", "{a}b", "a{b", "}{"].into_iter().map(name).collect();
    let requests: Vec<_> = names.iter().map(|name| acquisition(name, grant())).collect();
    let answers = store.acquire(&requests).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, AcquireAnswer::Granted { .. })), "{answers:?}");
    let listed = store.list(&ListRequest::new("", 10)).await.unwrap();
    assert_eq!(listed.len(), names.len(), "{listed:?}");
}

/// Every operation once.
async fn everything(store: &RedisStore) {
    let job = name("job");
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(wakeups.next().await, Some(Wakeup::Listening));
    let (id, token) = take(store, &job).await;
    let renewal = RenewRequest::new(job.clone(), id, token, LONG);
    assert!(matches!(store.renew(&[renewal]).await.unwrap()[..], [RenewAnswer::Renewed { .. }]));
    store.mark_waiting(&[MarkRequest::new(job.clone(), LONG)]).await.unwrap();
    assert_eq!(store.inspect(&job).await.unwrap().unwrap().token, token);
    assert_eq!(store.list(&ListRequest::new("", 10)).await.unwrap().len(), 1);
    assert_eq!(release(store, &job, id).await, ReleaseAnswer::Released);
    assert_eq!(wakeups.next().await, Some(Wakeup::Freed(job.clone())));
    take(store, &job).await;
    assert!(store.revoke(&job).await.unwrap() > Some(token));
    assert!(store.force_unlock(&job).await.unwrap() > Some(token));
    assert_eq!(wakeups.next().await, Some(Wakeup::Freed(job)));
    while store.purge(Duration::ZERO).await.unwrap() == 0 {}
}
