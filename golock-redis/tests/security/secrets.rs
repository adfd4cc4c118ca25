//! A password, through every kind of failure: it shows in no error, no Debug and no log.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::proxy::Proxy;
use golock_conformance::security::{Guarded, Secret};
use golock_core::{LockOptions, Locker, StoreErrorKind as Kind};
use golock_redis::RedisStore;

use super::{client, run};

pub(crate) async fn passwords_are_shown_nowhere(server: Arc<Guarded>) {
    // Both servers are tested in one process, and each listens for its own.
    let secret = Secret::new(if server.id() == "redis" { "Kx7vMarkerOfRedis" } else { "Kx7vMarkerOfValkey" });
    let password = secret.reveal();
    let rule = format!(">{password}");
    run(&server, &["ACL", "SETUSER", "owner", "reset", "on", &rule, "allkeys", "allchannels", "+@all"]).await;
    run(&server, &["ACL", "SETUSER", "visitor", "reset", "on", &rule, "+@connection", "+info", "+time"])
        .await;

    run(&server, &["ACL", "SETUSER", "stranger", "reset", "on", ">another"]).await;

    // To connect fails.
    let at = |address: &str| format!("redis://owner:{password}@{address}");
    for (what, url, kind) in [
        ("nobody there", at("127.0.0.1:1"), Kind::Connection),
        ("no such host", at("no-such-host.invalid"), Kind::Connection),
        ("an unknown authority", at(&server.address()).replace("redis:", "rediss:"), Kind::Tls),
        ("plaintext", at(&server.address()), Kind::Tls),
        ("a wrong port", at("localhost:port"), Kind::Configuration),
        ("no host", at(""), Kind::Configuration),
        ("a wrong database", at(&format!("localhost/{password}")), Kind::Configuration),
        ("another scheme", at("localhost").replace("redis:", "mysql:"), Kind::Configuration),
        (
            "another layout",
            at("localhost").replace("redis:", &format!("redis-{password}:")),
            Kind::Configuration,
        ),
        ("nothing but it", password.to_owned(), Kind::Configuration),
    ] {
        let error = RedisStore::connect(&url).await.map(drop).unwrap_err();
        secret.is_not_in_error(what, &error);
        assert_eq!(error.kind(), kind, "{what}: {error:?}");
    }
    let port = server.port();
    let over = |host: &str, port, user| {
        let builder = RedisStore::builder().prefix("secret:").request_timeout(Duration::from_secs(3));
        secret.is_not_in("the builder", &builder);
        builder.build(&client(host, port, server.authority(), Some((user, password)))).unwrap()
    };
    for (what, store, kind) in [
        ("a wrong password", over("localhost", port, "stranger"), Kind::Authentication),
        ("no such user", over("localhost", port, "nobody"), Kind::Authentication),
        ("another host's certificate", over("127.0.0.1", port, "owner"), Kind::Tls),
    ] {
        let error = store.ready().await.unwrap_err();
        secret.is_not_in(what, &store);
        secret.is_not_in_error(what, &error);
        assert_eq!(error.kind(), kind, "{what}: {error:?}");
    }

    // What is asked fails.
    let error =
        Locker::new(over("localhost", port, "visitor")).try_lock(LockOptions::new("job")).await.unwrap_err();
    secret.is_not_in_error("no permission", &error);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let locker = Locker::new(over("localhost", proxy.address().port(), "owner"));
    let kill = async { drop(run(&server, &["CLIENT", "KILL", "USER", "owner"]).await) };
    secret.is_not_in_failures(locker, proxy, kill).await;
    secret.is_not_in_the_logs();
}
