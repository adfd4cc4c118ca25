//! Servers that are set up differently: with replicas, users, eviction, several databases.

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
use crate::server::Admin;
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

/// The withdrawal of a grant waits behind renewals; meanwhile the grant, whose answer nobody waited for, has asked again.
pub(crate) async fn a_withdrawal_that_comes_late_takes_nothing_back_that_was_granted_since(server: &Own) {
    let within = Duration::from_secs(1);
    let store = RedisStore::builder().wait_for_replicas(1, within).connect(server.url()).await.unwrap();
    let other = RedisStore::connect(server.url()).await.unwrap();
    let (kept, job, id) = (name("kept"), name("job"), grant());
    // Scripts that the server does not know are sent twice.
    store.acquire(&[acquisition(&name("first"), grant())]).await.unwrap_err();
    let (keeper, token) = take(&other, &kept).await;
    let renewal = [RenewRequest::new(kept, keeper, token, LONG)];
    // Each keeps the connection of renewals, which is that of withdrawals too, for as long as replicas are waited for.
    let (one, two) = (store.renew(&renewal), store.renew(&renewal));
    let granted_again = async {
        let request = [acquisition(&job, id)];
        assert!(tokio::time::timeout(within * 6 / 5, store.acquire(&request)).await.is_err(), "too soon");
        let answers = other.acquire(&request).await.unwrap();
        assert!(matches!(answers[..], [AcquireAnswer::Granted { .. }]), "{answers:?}");
    };
    let (one, two, ()) = tokio::join!(one, two, granted_again);
    assert_eq!([one.unwrap_err().kind(), two.unwrap_err().kind()], [StoreErrorKind::Unavailable; 2]);
    // On the same connection, so after the withdrawal.
    store.renew(&renewal).await.unwrap_err();
    assert!(other.inspect(&job).await.unwrap().is_some(), "taken from its holder");
}

pub(crate) async fn a_server_that_does_not_say_how_many_confirmed_leaves_nothing_behind(server: &Own) {
    let rules = ["~*", "&*", "+@all", "-wait"];
    server.run(&[&["ACL", "SETUSER", "hasty", "on", ">secret"][..], &rules].concat()).await;
    let url = url_as(server.url(), "hasty", "secret");
    let store =
        RedisStore::builder().wait_for_replicas(1, Duration::from_millis(50)).connect(&url).await.unwrap();
    let error = store.acquire(&[acquisition(&name("job"), grant())]).await.unwrap_err();
    assert!(!error.kind().took_no_effect(), "{error}: {}", why(&error));
    assert!(why(&error).contains("NOPERM"), "{}", why(&error));
    // The engine takes back what it does not know to be undone.
    let locker = Locker::new(store);
    locker.try_lock(LockOptions::new("other")).await.unwrap_err();
    let anyone = Locker::new(RedisStore::connect(server.url()).await.unwrap());
    let lock = anyone.lock(LockOptions::new("other").wait(Duration::from_secs(10))).await.unwrap();
    lock.unlock().await.unwrap();
}

/// Where a name, or something in between, leads to another server by now, only a new connection gets there.
pub(crate) async fn a_connection_to_a_server_that_was_demoted_is_not_used_again(server: &Own) {
    let store = RedisStore::connect(server.url()).await.unwrap();
    let (id, _) = take(&store, &name("before")).await;
    let primary = server.another(&[]).await;
    server.run(&["REPLICAOF", &primary.host().await, "6379"]).await;
    let refused = [acquisition(&name("job"), grant())];
    let error = store.acquire(&refused).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{}", why(&error));
    let release_refused = [golock_core::store::ReleaseRequest::new(name("before"), id, Duration::ZERO)];
    assert_eq!(store.release(&release_refused).await.unwrap_err().kind(), StoreErrorKind::ReadOnly);
    // It is looked at anew, and refused as a replica.
    for error in
        [store.acquire(&refused).await.unwrap_err(), store.release(&release_refused).await.unwrap_err()]
    {
        assert!(why(&error).contains("role:slave"), "{}", why(&error));
    }
    server.run(&["REPLICAOF", "NO", "ONE"]).await;
    take(&store, &name("job")).await;
}

/// It has followed another server, which knows of no lease.
pub(crate) async fn a_server_that_was_demoted_tells_nobody_that_a_lease_is_lost(server: &Own) {
    let store = RedisStore::connect(server.url()).await.unwrap();
    let job = name("job");
    let (id, token) = take(&store, &job).await;
    let primary = server.another(&[]).await;
    server.run(&["REPLICAOF", &primary.host().await, "6379"]).await;
    // While it takes over what the other knows it may refuse to say anything.
    let is_empty = async || match Admin::connect(server.url()).await {
        Ok(admin) => admin.run(&["DBSIZE"]).await.is_ok_and(|keys| keys == "0"),
        Err(_) => false,
    };
    while !is_empty().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let error = store.renew(&[RenewRequest::new(job, id, token, LONG)]).await.unwrap_err();
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

/// Whoever says nothing for half a minute is asked whether it is there: the connection is as old as ever afterwards.
pub(crate) async fn a_listener_that_hears_nothing_goes_on_listening(server: &Own) {
    let store =
        RedisStore::builder().request_timeout(Duration::from_secs(2)).connect(server.url()).await.unwrap();
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(wakeups.next().await, Some(Wakeup::Listening));
    let is_old = async || {
        let clients = server.run(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
        let age = clients.split(' ').find_map(|field| field.strip_prefix("age=")?.parse::<u64>().ok());
        age.expect("somebody listens") >= 35
    };
    let aged = async {
        while !is_old().await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = aged => {}
        wakeup = wakeups.next() => panic!("{wakeup:?}"),
    }
    let job = name("job");
    let (id, _) = take(&store, &job).await;
    store.mark_waiting(&[MarkRequest::new(job.clone(), LONG)]).await.unwrap();
    release(&store, &job, id).await;
    assert_eq!(wakeups.next().await, Some(Wakeup::Freed(job)));
}

pub(crate) async fn an_applications_client_lends_its_settings_and_no_connection(server: &Own) {
    // Neither connected nor ever used.
    let client = Client::new(Config::from_url(&format!("{}/3", server.url())).unwrap(), None, None, None);
    let store = RedisStore::new(&client);
    take(&store, &name("job")).await;
    assert_eq!(server.run(&["EVAL", "redis.call('SELECT', 3) return redis.call('DBSIZE')", "0"]).await, "1");
}

/// Every operation once.
pub(crate) async fn everything(store: &RedisStore) {
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
