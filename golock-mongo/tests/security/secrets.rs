//! A password, through every kind of failure: it shows in no error, no Debug and no log.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::proxy::Proxy;
use golock_conformance::security::{Guarded, Secret};
use golock_conformance::servers::{url_as, url_at};
use golock_core::{LockOptions, Locker, StoreErrorKind as Kind};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::doc;

use super::admin;
use super::server::{DATABASE, unique, url_with};

pub(crate) async fn passwords_are_shown_nowhere(server: Arc<Guarded>) {
    let secret = Secret::new("Kx7vMarkerOfMongo");
    let password = secret.reveal();
    let admin = admin(&server).await.database("admin");
    for (user, roles) in [("owner", vec![doc! { "role": "root", "db": "admin" }]), ("visitor", vec![])] {
        admin.run_command(doc! { "createUser": user, "pwd": password, "roles": roles }).await.unwrap();
    }
    let url = url_as(server.url(), "owner", password);

    // To connect fails.
    let at = |address: &str| format!("mongodb://owner:{password}@{address}/?directConnection=true");
    for (what, url, kind) in [
        ("a wrong password", url_as(server.url(), "root", password), Kind::Authentication),
        ("no such user", url_as(server.url(), "nobody", password), Kind::Authentication),
        ("nobody there", at("127.0.0.1:1"), Kind::Connection),
        ("no such host", at("no-such-host.invalid"), Kind::Connection),
        ("no TLS", url_with(&url, "tls=true"), Kind::Tls),
        ("a wrong port", at("localhost:port"), Kind::Configuration),
        ("an unknown option", url_with(&url, password), Kind::Configuration),
        ("a wrong value", url_with(&url, &format!("authMechanism={password}")), Kind::Configuration),
        ("a slash in it", url.replace(password, &format!("a/{password}")), Kind::Configuration),
        ("another scheme", url.replace("mongodb:", "postgres:"), Kind::Configuration),
        ("nothing but it", password.to_owned(), Kind::Configuration),
    ] {
        let builder = MongoStore::builder().request_timeout(Duration::from_secs(3));
        let error = builder.connect(&url).await.map(drop).unwrap_err();
        secret.is_not_in_error(what, &error);
        assert_eq!(error.kind(), kind, "{what}: {error:?}");
    }

    // What is asked fails.
    let builder = MongoStore::builder().database(DATABASE).collection(unique("secret"));
    let builder = builder.request_timeout(Duration::from_secs(3));
    secret.is_not_in("the builder", &builder);
    let visitor = builder.clone().connect(&url_as(server.url(), "visitor", password)).await.unwrap();
    let error = Locker::new(visitor).try_lock(LockOptions::new("job")).await.unwrap_err();
    secret.is_not_in_error("no permission", &error);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let locker = Locker::new(builder.connect(&url_at(&url, proxy.address())).await.unwrap());
    // MongoDB ends no connections on command.
    secret.is_not_in_failures(locker, proxy, async {}).await;
    secret.is_not_in_the_logs();
}
