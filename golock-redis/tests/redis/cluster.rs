//! A Cluster: also while slots move, and when a node is gone.

use std::time::Duration;

use futures_util::StreamExt;
use golock_conformance::Pause;
use golock_conformance::servers::url_as;
use golock_core::store::{AcquireAnswer, ListRequest, LockStore, ReleaseAnswer, StoreErrorKind};
use golock_core::{Lock, LockOptions, Locker};
use golock_redis::RedisStore;
use golock_redis::fred::util::redis_keyslot;

use crate::own::Own;
use crate::servers::everything;
use crate::{LONG, acquisition, grant, name, release, take, why};

/// The arguments of a server that is to be a node.
pub(crate) const NODE: [&str; 2] = ["--cluster-enabled", "yes"];

/// Names that are on the first node, and on the second.
const ON_A: &str = "free-2";
const ON_B: &str = "free-0";

pub(crate) async fn a_cluster_is_served_whatever_the_names(a: &Own) {
    let b = a
        .another(&[&NODE[..], &["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]].concat())
        .await;
    let url = cluster(a, &b).await;
    let error = RedisStore::connect(&url).await.unwrap_err();
    assert!(why(&error).contains("maxmemory-policy is allkeys-lru"), "one node may evict: {}", why(&error));
    b.run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    let store = RedisStore::connect(&url).await.unwrap();
    everything(&store).await;
    let names: Vec<_> = ["}", "{", "{}", "{a}b", "a{b", "}{"].into_iter().map(name).collect();
    let requests: Vec<_> = names.iter().map(|name| acquisition(name, grant())).collect();
    let answers = store.acquire(&requests).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, AcquireAnswer::Granted { .. })), "{answers:?}");
    let listed = store.list(&ListRequest::new("", 10)).await.unwrap();
    assert_eq!(listed.len(), names.len(), "{listed:?}");
    for node in [a, &b] {
        assert_ne!(node.run(&["DBSIZE"]).await, "0", "the names are on both nodes");
    }
}

/// The slot of a name that nobody has yet is on its way to the node whose answers are awaited.
pub(crate) async fn answers_stay_with_their_calls_while_a_slot_moves(a: &Own) {
    let b = a.another(&NODE).await;
    let url = cluster(a, &b).await;
    let (other, store) = (RedisStore::connect(&url).await.unwrap(), RedisStore::connect(&url).await.unwrap());
    let [held, free, moving] = ["held", "free", "moving"].map(name);
    take(&other, &held).await;
    take(&store, &name(ON_A)).await;
    take(&store, &name(ON_B)).await;
    open("moving", a, &b).await;
    b.run(&["CLIENT", "PAUSE", "400", "ALL"]).await;
    let id = grant();
    let requests = [&held, &free].map(|name| [acquisition(name, grant())]);
    let moved = [acquisition(&moving, id)];
    let (held, free, got) =
        tokio::join!(store.acquire(&requests[0]), store.acquire(&requests[1]), store.acquire(&moved));
    assert!(matches!(held.unwrap()[..], [AcquireAnswer::Held(_)]), "another has it");
    assert!(matches!(free.unwrap()[..], [AcquireAnswer::Granted { .. }]));
    assert!(
        matches!(got.unwrap()[..], [AcquireAnswer::Granted { .. }]),
        "the node that gets the slot serves it"
    );

    // It is there, and on the same connections the name is found there.
    close("moving", a, &b).await;
    assert_eq!(release(&store, &moving, id).await, ReleaseAnswer::Released);
    take(&store, &moving).await;
}

/// Not even that whose key is gone from its node already, to one that has no slot of its own.
pub(crate) async fn a_moving_slot_costs_no_lease(a: &Own) {
    let b = a.another(&NODE).await;
    let url = cluster(a, &b).await;
    let c = a.another(&NODE).await;
    join(a, &c).await;
    let locker = golock_redis::connect(&url).await.unwrap();
    let lease = Duration::from_secs(4);
    let mut locks = Vec::new();
    for number in 0..40 {
        let name = if number == 0 { "moving".to_owned() } else { format!("lease {number}") };
        locks.push(auto_renewed(&locker, name, lease).await);
    }
    open("moving", a, &c).await;
    let moved = a.run(&["MIGRATE", &c.host().await, "6379", "golock:moving", "0", "1000"]).await;
    assert_eq!(moved, "OK");
    // Each is renewed, or over.
    tokio::time::sleep(lease * 5 / 4).await;
    assert_eq!(lost(&locks), [""; 0]);
    close("moving", a, &c).await;
    for lock in locks {
        lock.unlock().await.unwrap();
    }
}

/// It was reset, or lost its file: it answers, and knows nothing.
pub(crate) async fn a_node_of_no_cluster_is_not_believed(a: &Own) {
    let b = a.another(&NODE).await;
    cluster(a, &b).await;
    let alone = a.another(&NODE).await;
    let url = format!("redis-cluster://{}:6379?node={}:6379", alone.host().await, b.host().await);
    let store = RedisStore::connect(&url).await.unwrap();
    for number in 0..10 {
        take(&store, &name(&format!("name {number}"))).await;
    }
}

/// It does not know its own address, which nobody has told it.
pub(crate) async fn a_node_that_never_met_another_is_a_cluster(alone: &Own) {
    alone.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    while !alone.run(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let url = format!("redis-cluster://{}:6379", alone.host().await);
    everything(&RedisStore::connect(&url).await.unwrap()).await;
}

/// The node that had the slot has a replica; that which gets it, and executes what is to be confirmed, has none.
pub(crate) async fn replicas_of_another_node_confirm_nothing(a: &Own) {
    let b = a.another(&NODE).await;
    let url = cluster(a, &b).await;
    let replica = a.another(&NODE).await;
    join(a, &replica).await;
    let id = a.run(&["CLUSTER", "MYID"]).await;
    replica.run(&["CLUSTER", "REPLICATE", &id]).await;
    while !a.run(&["INFO", "replication"]).await.contains("state=online") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let within = Duration::from_millis(300);
    let store = RedisStore::builder().wait_for_replicas(1, within).connect(&url).await.unwrap();
    // As soon as it confirms anything.
    while store.acquire(&[acquisition(&name(ON_A), grant())]).await.is_err() {}
    open("moving", a, &b).await;
    for name in [ON_B, "moving"].map(name) {
        let error = store.acquire(&[acquisition(&name, grant())]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{name:?}: {}", why(&error));
        assert!(why(&error).contains("0 of 1 replicas"), "{name:?}: {}", why(&error));
    }
}

/// Nor are the others kept from what they know, or from being asked, by those that were named and say nothing.
pub(crate) async fn a_node_that_is_frozen_costs_only_its_own_leases(a: &Own) {
    let b = a.another(&NODE).await;
    cluster(a, &b).await;
    let frozen = a.another(&NODE).await;
    frozen.as_ref().pause().await.unwrap();
    let url = format!("redis-cluster://{}:6379?node={}:6379", frozen.host().await, b.host().await);
    let locker = golock_redis::connect(&url).await.unwrap();
    let lease = Duration::from_secs(6);
    let (mut on_a, mut on_b) = (Vec::new(), Vec::new());
    for number in 0..20 {
        let name = format!("lease {number}");
        let locks = if slot(&name) < 8_192 { &mut on_a } else { &mut on_b };
        locks.push(auto_renewed(&locker, name, lease).await);
    }
    b.as_ref().pause().await.unwrap();
    for lock in &on_b {
        lock.lost().await;
    }
    assert_eq!(lost(&on_a), [""; 0]);
    // Of those that were named nobody is left.
    a.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    let options = LockOptions::new(ON_A).wait(Duration::from_secs(10));
    locker.lock(options).await.unwrap().unlock().await.unwrap();
    assert_eq!(lost(&on_a), [""; 0]);
}

/// Of those that nobody has asked since, none may be left.
pub(crate) async fn a_node_that_was_gone_is_asked_again(a: &Own) {
    let b = a.another(&NODE).await;
    let url = cluster(a, &b).await;
    for node in [a, &b] {
        node.run(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]).await;
    }
    let store = RedisStore::builder().request_timeout(Duration::from_secs(1)).connect(&url).await.unwrap();
    for node in [a, &b] {
        node.as_ref().pause().await.unwrap();
    }
    store.acquire(&[acquisition(&name(ON_A), grant())]).await.unwrap_err();
    a.as_ref().unpause().await.unwrap();
    let served = async { while store.acquire(&[acquisition(&name(ON_A), grant())]).await.is_err() {} };
    tokio::time::timeout(LONG, served).await.unwrap();
}

pub(crate) async fn a_subscription_that_is_refused_is_not_taken_for_one(a: &Own) {
    let b = a.another(&NODE).await;
    let url = cluster(a, &b).await;
    for node in [a, &b] {
        node.admin().await.user("deaf", "secret", "allkeys resetchannels +@all").await.unwrap();
    }
    let store = RedisStore::connect(&url_as(&url, "deaf", "secret")).await.unwrap();
    for _ in 0..20 {
        assert_eq!(store.wakeups().unwrap().next().await, None, "it hears nothing");
    }
}

pub(crate) async fn a_node_is_not_taken_for_a_server_of_its_own(a: &Own) {
    let b = a.another(&NODE).await;
    let url = cluster(a, &b).await;
    let error = RedisStore::connect(a.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration, "{}", why(&error));
    assert!(why(&error).contains("redis-cluster://"), "{}", why(&error));
    RedisStore::connect(&url).await.unwrap();
}

/// Makes a Cluster of two servers: the first has the slots to 8191, the second the others. Where it is.
async fn cluster(a: &Own, b: &Own) -> String {
    for (node, [first, last]) in [(a, ["0", "8191"]), (b, ["8192", "16383"])] {
        node.run(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
    }
    a.run(&["CONFIG", "SET", "cluster-announce-ip", &a.host().await]).await;
    join(a, b).await;
    while !a.run(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    format!("redis-cluster://{}:6379", a.host().await)
}

/// Lets a server into the Cluster of another.
async fn join(a: &Own, new: &Own) {
    new.run(&["CONFIG", "SET", "cluster-announce-ip", &new.host().await]).await;
    a.run(&["CLUSTER", "MEET", &new.host().await, "6379"]).await;
    while !new.run(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Begins to move the slot of a name.
async fn open(name: &str, from: &Own, to: &Own) {
    let slot = slot(name).to_string();
    let [giver, getter] = [from.run(&["CLUSTER", "MYID"]).await, to.run(&["CLUSTER", "MYID"]).await];
    to.run(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &giver]).await;
    from.run(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &getter]).await;
}

/// Ends that.
async fn close(name: &str, from: &Own, to: &Own) {
    let (slot, getter) = (slot(name).to_string(), to.run(&["CLUSTER", "MYID"]).await);
    for node in [to, from] {
        node.run(&["CLUSTER", "SETSLOT", &slot, "NODE", &getter]).await;
    }
}

fn slot(name: &str) -> u16 {
    redis_keyslot(format!("golock:{name}").as_bytes())
}

async fn auto_renewed(locker: &Locker, name: String, lease: Duration) -> Lock {
    locker.try_lock(LockOptions::new(name).lock_at_most(lease).auto_renew(true)).await.unwrap()
}

fn lost(locks: &[Lock]) -> Vec<&str> {
    locks.iter().filter(|lock| !lock.is_held()).map(|lock| lock.name().as_str()).collect()
}
