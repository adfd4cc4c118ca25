//! Sessions: their settings, their failures, the application's pool, the driver's words.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::servers::{Server, url_as};
use golock_core::store::{LockStore, ReleaseAnswer, ReleaseRequest, RenewRequest};
use golock_core::{LockOptions, StoreErrorKind};
use golock_postgres::PostgresStore;
use golock_postgres::deadpool_postgres::tokio_postgres::NoTls;
use golock_postgres::deadpool_postgres::{Manager, Pool};

use crate::said;
use crate::server::{LONG, grant, name, release, session, take, unique, url_of, wanted};

pub(crate) async fn settings_of_the_session_are_repaired(server: Arc<Server>) {
    let url = server.url();
    let hostile = [
        "statement_timeout = 1",
        "lock_timeout = 1",
        "default_transaction_isolation = serializable",
        "default_transaction_read_only = on",
        "synchronous_commit = off",
    ];
    assert_eq!(
        settings_seen(url, &hostile).await,
        "statement_timeout=5s lock_timeout=1s transaction_isolation=read committed transaction_read_only=off \
         synchronous_commit=on"
    );
}

pub(crate) async fn stronger_durability_is_left_alone(server: Arc<Server>) {
    let url = server.url();
    let seen = settings_seen(url, &["synchronous_commit = remote_apply"]).await;
    assert!(seen.ends_with("synchronous_commit=remote_apply"), "{seen}");
}

pub(crate) async fn weaker_durability_is_raised(server: Arc<Server>) {
    for weak in ["local", "remote_write"] {
        let seen = settings_seen(server.url(), &[&format!("synchronous_commit = {weak}")]).await;
        assert!(seen.ends_with("synchronous_commit=on"), "{weak}: {seen}");
    }
}

/// So an old primary is kept from writing before a switchover. Who goes on granting there grants what another grants too.
pub(crate) async fn fence_against_all_writes_is_respected(server: Arc<Server>) {
    let (url, fenced) = (server.url(), unique("fenced"));
    let admin = session(url).await;
    admin.batch_execute(&format!("CREATE DATABASE {fenced}")).await.unwrap();
    let there = url_of(url, &fenced);
    let store = PostgresStore::connect(&there).await.unwrap();
    take(&store, &name("lock"), "tester").await;
    let fence = format!("ALTER DATABASE {fenced} SET default_transaction_read_only = on");
    admin.batch_execute(&fence).await.unwrap();
    for url in [there.clone(), format!("{there}?target_session_attrs=read-write")] {
        let error = PostgresStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{}", said(&error));
        assert!(said(&error).contains("default_transaction_read_only"), "{}", said(&error));
    }
    drop(store);
    admin.batch_execute(&format!("DROP DATABASE {fenced} WITH (FORCE)")).await.unwrap();
}

/// A table that notes the settings of whichever session makes a row: `a=b c=d`, of the last one.
async fn settings_seen(url: &str, defaults: &[&str]) -> String {
    let (admin, role, table) = (session(url).await, unique("role"), unique("noted"));
    let plain = PostgresStore::builder().table(&table).connect(url).await.unwrap();
    let settings = [
        "statement_timeout",
        "lock_timeout",
        "transaction_isolation",
        "transaction_read_only",
        "synchronous_commit",
    ];
    let noted = settings.map(|name| format!("'{name}=' || current_setting('{name}')")).join(" || ' ' || ");
    let mut sql = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'service'; GRANT ALL ON {table} TO {role};
         ALTER TABLE {table} ADD COLUMN seen text DEFAULT {noted};"
    );
    for default in defaults {
        sql += &format!("ALTER ROLE {role} SET {default};");
    }
    admin.batch_execute(&sql).await.unwrap();
    let store = PostgresStore::builder().table(&table).connect(&url_as(url, &role, "service")).await.unwrap();
    take(&store, &name("lock"), "tester").await;
    let seen = admin.query_one(&format!("SELECT seen FROM {table}"), &[]).await.unwrap().get(0);
    drop((store, plain));
    admin.batch_execute(&format!("DROP TABLE {table}; DROP ROLE {role}")).await.unwrap();
    seen
}

/// What is held is kept and given back, though acquires have all connections that there may be.
pub(crate) async fn acquires_make_room_for_renewals_and_releases(server: Arc<Server>) {
    let (admin, role, table) = (session(server.url()).await, unique("role"), unique("crowded"));
    let owner = PostgresStore::builder().table(&table).connect(server.url()).await.unwrap();
    let sql = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'service' CONNECTION LIMIT 2; GRANT ALL ON {table} TO {role}"
    );
    admin.batch_execute(&sql).await.unwrap();
    let url = url_as(server.url(), &role, "service");
    let store = PostgresStore::builder().table(&table).connect(&url).await.unwrap();
    let names = [name("one"), name("other")];
    let ((id, token), _) = tokio::join!(take(&store, &names[0], "tester"), take(&store, &names[1], "tester"));
    let renewal = [RenewRequest::new(names[0].clone(), id, token, LONG)];
    let release = [ReleaseRequest::new(names[0].clone(), id, Duration::ZERO)];
    let next = [wanted(&name("next"), grant(), "tester")];
    // The server may need a moment until a connection that was closed counts no more.
    let served = async {
        while store.renew(&renewal).await.is_err() {}
        while store.release(&release).await.is_err() {}
        while store.acquire(&next).await.is_err() {}
    };
    tokio::time::timeout(LONG, served).await.unwrap();
    drop((store, owner));
    admin.batch_execute(&format!("DROP TABLE {table}; DROP ROLE {role}")).await.unwrap();
}

pub(crate) async fn serialization_failure_is_retried_inside(server: Arc<Server>) {
    let url = server.url();
    let (admin, table) = (session(url).await, unique("conflicting"));
    let store = PostgresStore::builder().table(&table).connect(url).await.unwrap();
    // A sequence goes on though the transaction is rolled back: the first and the fourth statement fail, once each;
    // from the sixth on, all do.
    let sql = format!(
        "CREATE SEQUENCE {table}_seq;
         CREATE FUNCTION {table}_fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           CASE nextval('{table}_seq')
             WHEN 1 THEN RAISE 'first' USING ERRCODE = '40001';
             WHEN 2, 3 THEN NULL;
             WHEN 4 THEN RAISE 'fourth' USING ERRCODE = '40P01';
             WHEN 5 THEN NULL;
             ELSE RAISE 'always' USING ERRCODE = '40001';
           END CASE;
           RETURN NEW;
         END $$;
         CREATE TRIGGER fail BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_fail()"
    );
    admin.batch_execute(&sql).await.unwrap();
    for _ in 0..3 {
        take(&store, &name("lock"), "tester").await;
    }
    let error = store.acquire(&[wanted(&name("lock"), grant(), "tester")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict, "{}", said(&error));
    let sql = format!("DROP TABLE {table}; DROP FUNCTION {table}_fail; DROP SEQUENCE {table}_seq");
    admin.batch_execute(&sql).await.unwrap();
}

pub(crate) async fn pool_of_the_application_is_left_alone(server: Arc<Server>) {
    let url = server.url();
    let pool = pool(url);
    let store = PostgresStore::new(pool.clone());
    assert!(!store.capabilities().wakeups, "a pool's manager drops notifications");
    let application = pool.get().await.unwrap();
    let name = name("lock");
    let (grant, _) = take(&store, &name, "tester").await;
    assert_eq!(release(&store, &name, grant).await, ReleaseAnswer::Released);
    assert_eq!(pool.status().size, 1, "the pool has no connection but the application's");
    let timeout: String = application.query_one("SHOW lock_timeout", &[]).await.unwrap().get(0);
    assert_eq!(timeout, "0");
    drop(store);
    assert!(!application.is_closed() && !pool.is_closed());
}

pub(crate) async fn pool_is_not_waited_for(server: Arc<Server>) {
    let url = server.url();
    let pool = pool(url);
    let store = PostgresStore::new(pool.clone());
    let mut taken = Vec::new();
    for _ in 0..pool.status().max_size {
        taken.push(pool.get().await.unwrap());
    }
    let name = name("lock");
    let (grant, token) = take(&store, &name, "tester").await;
    store.renew(&[RenewRequest::new(name.clone(), grant, token, LONG)]).await.unwrap();
    assert_eq!(release(&store, &name, grant).await, ReleaseAnswer::Released);
}

fn pool(url: &str) -> Pool {
    Pool::builder(Manager::new(url.parse().unwrap(), NoTls)).max_size(3).build().unwrap()
}

pub(crate) async fn words_of_the_driver_are_understood(server: Arc<Server>) {
    let url = server.url();
    let without_password = url_as(url, "postgres", "").replace(":@", "@");
    let nowhere = "postgres://postgres:secret@127.0.0.1:1/postgres".to_owned();
    for (url, kind) in [
        (without_password, StoreErrorKind::Authentication),
        (format!("{url}?sslmode=require"), StoreErrorKind::Tls),
        (format!("{url}?channel_binding=require"), StoreErrorKind::Authentication),
        (url_of(url, "no_such_database"), StoreErrorKind::Configuration),
        ("postgres:///postgres".to_owned(), StoreErrorKind::Configuration),
        (nowhere, StoreErrorKind::Connection),
    ] {
        let error = PostgresStore::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", said(&error));
    }
}

pub(crate) async fn locker_locks_over_a_url(server: Arc<Server>) {
    let url = server.url();
    let locker = golock_postgres::connect(url).await.unwrap();
    let name = unique("nightly-report");
    let lock = locker.try_lock(LockOptions::new(&name).lock_by("worker-1")).await.unwrap();
    let refused = locker.try_lock(LockOptions::new(&name)).await.unwrap_err();
    assert_eq!(refused.holder().unwrap().lock_by.as_str(), "worker-1");
    lock.unlock().await.unwrap();
    assert_eq!(locker.backend(), "postgres");
}
