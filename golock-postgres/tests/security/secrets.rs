//! A password, through every kind of failure: it shows in no error, no Debug and no log.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::proxy::Proxy;
use golock_conformance::security::{Guarded, Secret};
use golock_core::{LockOptions, Locker, StoreErrorKind as Kind};
use golock_postgres::PostgresStore;
use golock_postgres::deadpool_postgres::{Manager, Pool};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{admin, unique, url_as};

pub(crate) async fn passwords_are_shown_nowhere(server: Arc<Guarded>) {
    let password = "Kx7vMarkerOfPostgres";
    let (admin, role, table) = (admin(&server).await, unique("role"), unique("secret"));
    let mine = PostgresStore::builder().table(&table).connect(server.url()).await.unwrap();
    let sql = format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'; GRANT ALL ON {table} TO {role}");
    admin.batch_execute(&sql).await.unwrap();
    // Only now, for the driver logs the statements that it is given, and this one came from the test.
    let secret = Secret::new(password);
    let url = url_as(&server, &role, password);

    // To connect fails.
    let at = |address: &str| format!("postgres://{role}:{password}@{address}/postgres");
    for (what, url, kind) in [
        ("a wrong password", url_as(&server, "postgres", password), Kind::Authentication),
        ("nobody there", at("127.0.0.1:1"), Kind::Connection),
        ("no such host", at("no-such-host.invalid"), Kind::Connection),
        ("an unknown authority", format!("{url}?sslmode=require"), Kind::Tls),
        ("plaintext", format!("{url}?sslmode=disable"), Kind::Authentication),
        ("no such database", url.replace("/postgres", "/nowhere"), Kind::Configuration),
        ("a wrong port", at("localhost:port"), Kind::Configuration),
        ("an unknown option", format!("{url}?{password}=1"), Kind::Configuration),
        ("a wrong value", format!("{url}?sslmode={password}"), Kind::Configuration),
        ("another scheme", url.replace("postgres://", "postgress://"), Kind::Configuration),
        ("no such file", format!("{url}?sslrootcert=/no/such.pem;password={password}"), Kind::Tls),
        ("a certificate without its key", format!("{url}?sslcert={password}"), Kind::Configuration),
        ("an open quote", format!("user={role} password='{password}"), Kind::Configuration),
        ("nothing but it", password.to_owned(), Kind::Configuration),
    ] {
        let error = PostgresStore::connect(&url).await.map(drop).unwrap_err();
        secret.is_not_in_error(what, &error);
        assert_eq!(error.kind(), kind, "{what}: {error:?}");
    }

    // What is asked fails.
    let builder = PostgresStore::builder().table(&table).request_timeout(Duration::from_secs(3));
    let proxy = Proxy::start(server.address()).await.unwrap();
    let through = builder.clone().connect(&at(&proxy.address().to_string())).await.unwrap();
    let forbidden = builder.clone().table(unique("forbidden"));
    let missing = builder.clone().table("nowhere").create_table(false).connect_lazy(&url).unwrap();
    secret.is_not_in("the builder", &builder);
    let error = Locker::new(missing).try_lock(LockOptions::new("job")).await.unwrap_err();
    secret.is_not_in_error("no table", &error);
    let error = forbidden.connect(&url).await.map(drop).unwrap_err();
    secret.is_not_in_error("no permission", &error);
    assert_eq!(error.kind(), Kind::Permission, "{error:?}");
    let kill = async {
        let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'");
        admin.batch_execute(&sql).await.unwrap();
    };
    secret.is_not_in_failures(Locker::new(through), proxy, kill).await;

    // The application's own pool, closed.
    let tls = MakeRustlsConnect::new(server.authority().client());
    let pool = Pool::builder(Manager::new(url.parse().unwrap(), tls)).build().unwrap();
    let store = builder.build(pool.clone()).unwrap();
    pool.close();
    secret.is_not_in("a store over a pool", &store);
    if let Err(error) = store.ready().await {
        secret.is_not_in_error("a closed pool", &error);
    }
    secret.is_not_in("another store", &mine);
    secret.is_not_in_the_logs();
}
