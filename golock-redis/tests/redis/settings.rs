//! How the server is set up: eviction, a password that changes, the application's client, a Cluster.

use std::time::Duration;

use golock_core::store::{AcquireAnswer, ListRequest, LockStore, StoreErrorKind};
use golock_redis::RedisStore;
use golock_redis::fred::clients::Client;
use golock_redis::fred::types::config::Config;

use crate::server::own::{Own, grant, name};
use crate::{acquisition, everything, server, take, why};

pub(crate) async fn a_server_that_may_evict_locks_is_refused_by_the_settings_name(server: &Own) {
    let error = RedisStore::connect(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration);
    assert!(why(&error).contains("maxmemory-policy"), "{}", why(&error));
    let store = RedisStore::builder().allow_eviction(true).connect(&server.url()).await.unwrap();
    take(&store, &name("job")).await;
}

pub(crate) async fn a_password_that_was_changed_is_told(server: &Own) {
    let admin = server.admin().await;
    let url = server::url_as(&server.url(), "service", "old");
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
    admin.run(&["CONFIG", "SET", "cluster-announce-ip", server.host()]).await.unwrap();
    admin.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await.unwrap();
    while !admin.run(&["CLUSTER", "INFO"]).await.unwrap().contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let store = RedisStore::connect(&format!("redis-cluster://{}", server.inside)).await.unwrap();
    everything(&store).await;
    let names: Vec<_> = ["}", "{", "{}", "{a}b", "a{b", "}{"].into_iter().map(name).collect();
    let requests: Vec<_> = names.iter().map(|name| acquisition(name, grant())).collect();
    let answers = store.acquire(&requests).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, AcquireAnswer::Granted { .. })), "{answers:?}");
    let listed = store.list(&ListRequest::new("", 10)).await.unwrap();
    assert_eq!(listed.len(), names.len(), "{listed:?}");
}
