//! A password, through every kind of failure: it shows in no error, no Debug and no log.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::proxy::Proxy;
use golock_conformance::security::{Guarded, Secret};
use golock_core::{LockOptions, Locker, StoreErrorKind as Kind};
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Opts, OptsBuilder};

use super::{ENCRYPTED, admin, unique, url, url_as};

pub(crate) async fn passwords_are_shown_nowhere(server: Arc<Guarded>) {
    // Both servers are tested in one process, and each listens for its own.
    let secret =
        Secret::new(if server.id() == "mysql" { "Kx7vMarkerOfMysql" } else { "Kx7vMarkerOfMariadb" });
    let password = secret.reveal();
    let (mut admin, user, table) = (admin(&server).await, unique("user"), unique("secret"));
    let mine = MysqlStore::builder().table(&table).connect(&url(&server)).await.unwrap();
    admin.query_drop(format!("CREATE USER {user} IDENTIFIED BY '{password}'")).await.unwrap();
    admin.query_drop(format!("GRANT ALL ON {table} TO {user}")).await.unwrap();
    let url = url_as(&server, &user, password);

    // To connect fails.
    let at = |address: &str| format!("mysql://{user}:{password}@{address}/guarded");
    for (what, url, kind) in [
        ("a wrong password", url_as(&server, "root", password), Kind::Authentication),
        ("nobody there", at("127.0.0.1:1"), Kind::Connection),
        ("no such host", at("no-such-host.invalid"), Kind::Connection),
        ("an unknown authority", url.replace(ENCRYPTED, "?require_ssl=true"), Kind::Tls),
        ("plaintext", url.replace(ENCRYPTED, ""), Kind::Tls),
        ("a wrong port", at("localhost:port"), Kind::Configuration),
        ("no database", at("localhost").replace("/guarded", ""), Kind::Configuration),
        ("an unknown option", format!("{url}&{password}=1"), Kind::Configuration),
        ("a wrong value", format!("{url}&pool_min={password}"), Kind::Configuration),
        ("another scheme", url.replace("mysql://", "postgres://"), Kind::Configuration),
        ("nothing but it", password.to_owned(), Kind::Configuration),
    ] {
        let error = MysqlStore::connect(&url).await.map(drop).expect_err(what);
        secret.is_not_in_error(what, &error);
        assert_eq!(error.kind(), kind, "{what}: {error:?}");
    }

    // What is asked fails.
    let builder = MysqlStore::builder().table(&table).request_timeout(Duration::from_secs(2));
    let proxy = Proxy::start(server.address()).await.unwrap();
    let through = format!("{}{ENCRYPTED}", at(&proxy.address().to_string()));
    let locker = Locker::new(builder.clone().connect(&through).await.unwrap());
    secret.is_not_in("the builder", &builder);
    let error =
        MysqlStore::builder().table("forbidden").connect(&url).await.map(drop).expect_err("no permission");
    secret.is_not_in_error("no permission", &error);
    assert_eq!(error.kind(), Kind::Permission, "{error:?}");
    let root = OptsBuilder::from_opts(Opts::from_url(&super::url(&server)).unwrap());
    let missing = MysqlStore::builder().table("nowhere").create_table(false).build(root).unwrap();
    let error = Locker::new(missing).try_lock(LockOptions::new("job")).await.unwrap_err();
    secret.is_not_in_error("no table", &error);

    let kill = async {
        let sql = format!("SELECT id FROM information_schema.processlist WHERE user = '{user}'");
        for id in admin.query::<u64, _>(sql).await.unwrap() {
            // It may have gone by itself.
            let _ = admin.query_drop(format!("KILL {id}")).await;
        }
    };
    secret.is_not_in_failures(locker, proxy, kill).await;
    secret.is_not_in("another store", &mine);
    secret.is_not_in_the_logs();
}
