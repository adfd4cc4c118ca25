//! What the suite of golock-conformance can't know: the ways of PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use golock_core::store::{LockStore, MarkRequest, ReleaseAnswer, RenewAnswer, RenewRequest, Wakeup};
use golock_core::{LockName, LockOptions, StoreError, StoreErrorKind};
use golock_postgres::PostgresStore;
use golock_postgres::deadpool_postgres::tokio_postgres::NoTls;
use golock_postgres::deadpool_postgres::{Manager, Pool};
use libtest_mimic::{Arguments, Completion, Trial};
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::runtime::Runtime;

use server::{LONG, grant, name, release, session, take, unique, url_as, url_of, wanted};

mod server;

macro_rules! trials {
    ($runtime:expr, $server:expr, $($test:ident),+ $(,)?) => {
        vec![$({
            let (runtime, server) = ($runtime.handle().clone(), $server.clone());
            Trial::ignorable_test(stringify!($test), move || match server {
                Ok(url) => {
                    runtime.block_on($test(&url));
                    Ok(Completion::Completed)
                }
                Err(why) if required() => Err(why.into()),
                Err(why) => Ok(Completion::ignored_with(why)),
            })
        }),+]
    };
}

fn main() -> ExitCode {
    let runtime = Runtime::new().unwrap();
    let arguments = Arguments::from_args();
    let (server, container) =
        if arguments.list { (Err(String::new()), None) } else { runtime.block_on(find()) };
    let trials = trials![
        runtime,
        server,
        missing_table_is_told_and_found_when_it_is_there,
        schema_is_created_with_its_table_by_many_at_once,
        names_of_schema_and_table_are_quoted,
        settings_of_the_session_are_repaired,
        stronger_durability_is_left_alone,
        serialization_failure_is_retried_inside,
        pool_of_the_application_is_left_alone,
        pool_is_not_waited_for,
        database_of_another_encoding_keeps_names_and_labels,
        labels_of_others_hide_no_lock,
        purge_spares_tokens_ahead_of_the_clock,
        one_locked_row_keeps_no_other_waiting,
        renewal_that_waits_revives_no_expired_lease,
        words_of_the_driver_are_understood,
        locker_locks_over_a_url,
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(container) = container {
        let _ = runtime.block_on(container.rm());
    }
    conclusion.exit_code()
}

/// The server that the environment names, or one in a container; or why there is none.
async fn find() -> (Result<String, String>, Option<ContainerAsync<GenericImage>>) {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    if let Some(url) = variable("GOLOCK_TEST_POSTGRES_URL") {
        return (Ok(url), None);
    }
    if variable("GOLOCK_SERVERS").is_some_and(|ids| !ids.split(',').any(|id| id.trim() == "postgres")) {
        return (Err("GOLOCK_SERVERS does not list postgres".to_owned()), None);
    }
    let image = variable("GOLOCK_TEST_POSTGRES_IMAGE").unwrap_or_else(|| "postgres:18".to_owned());
    let (image, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
    let started = GenericImage::new(image, tag)
        .with_exposed_port(5432.tcp())
        .with_wait_for(WaitFor::message_on_stderr("ready to accept connections"))
        .with_env_var("POSTGRES_PASSWORD", "golock-test")
        .with_cmd(["postgres", "-c", "max_connections=300", "-c", "fsync=off"])
        .start()
        .await;
    let container = match started {
        Ok(container) => container,
        Err(error) => return (Err(format!("no server: image {image}:{tag} did not start: {error}")), None),
    };
    let port = container.get_host_port_ipv4(5432).await.unwrap();
    let url = format!("postgres://postgres:golock-test@127.0.0.1:{port}/postgres");
    // The public image starts its server twice.
    let mut tries = 0;
    while let Err(error) = golock_postgres::deadpool_postgres::tokio_postgres::connect(&url, NoTls).await {
        tries += 1;
        assert!(tries < 300, "no answer from {image}:{tag}: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (Ok(url), Some(container))
}

fn required() -> bool {
    std::env::var("GOLOCK_REQUIRE").is_ok_and(|ids| ids.split(',').any(|id| id.trim() == "postgres"))
}

async fn missing_table_is_told_and_found_when_it_is_there(url: &str) {
    let (admin, table) = (session(url).await, unique("later"));
    let store = PostgresStore::builder().table(&table).create_table(false).connect(url).await.unwrap();
    let name = name("lock");
    let missing = store.acquire(&[wanted(&name, grant(), "early")]).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::SchemaMissing, "{}", said(&missing));
    assert!(said(&missing).contains(&table), "{}", said(&missing));

    admin.batch_execute(&store.schema()).await.unwrap();
    let (_, token) = take(&store, &name, "in time").await;
    // Made anew, with the statements prepared for the old one.
    admin.batch_execute(&format!("DROP TABLE {table}; {}", store.schema())).await.unwrap();
    assert!(take(&store, &name, "after").await.1 > token);
    admin.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
}

async fn schema_is_created_with_its_table_by_many_at_once(url: &str) {
    let (admin, schema) = (session(url).await, unique("shared"));
    let creating: Vec<_> = (0..12)
        .map(|at| {
            let builder = PostgresStore::builder().schema(&schema).table(format!("locks_{}", at % 3));
            let url = url.to_owned();
            tokio::spawn(async move { builder.connect(&url).await })
        })
        .collect();
    for created in creating {
        let store = created.await.unwrap().unwrap_or_else(|error| panic!("{}", said(&error)));
        take(&store, &name("lock"), "tester").await;
    }
    admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

async fn names_of_schema_and_table_are_quoted(url: &str) {
    let (admin, schema) = (session(url).await, format!("My \"{}\" schema", unique("own")));
    let store = PostgresStore::builder().schema(&schema).table("Lo'ck\"s; --").connect(url).await.unwrap();
    let name = name("lock");
    let (grant, _) = take(&store, &name, "tester").await;
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(next(&mut wakeups).await, Some(Wakeup::Listening));
    store.mark_waiting(&[MarkRequest::new(name.clone(), LONG)]).await.unwrap();
    assert_eq!(release(&store, &name, grant).await, ReleaseAnswer::Released);
    assert_eq!(next(&mut wakeups).await, Some(Wakeup::Freed(name)));
    admin.batch_execute(&store.schema()).await.unwrap();
    admin.batch_execute(&format!("DROP SCHEMA \"{}\" CASCADE", schema.replace('"', "\"\""))).await.unwrap();
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

async fn settings_of_the_session_are_repaired(url: &str) {
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

async fn stronger_durability_is_left_alone(url: &str) {
    let seen = settings_seen(url, &["synchronous_commit = remote_apply"]).await;
    assert!(seen.ends_with("synchronous_commit=remote_apply"), "{seen}");
}

async fn serialization_failure_is_retried_inside(url: &str) {
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

async fn pool_of_the_application_is_left_alone(url: &str) {
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

async fn pool_is_not_waited_for(url: &str) {
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

async fn database_of_another_encoding_keeps_names_and_labels(url: &str) {
    let (admin, database) = (session(url).await, unique("latin"));
    let sql = format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    admin.batch_execute(&sql).await.unwrap();
    let store = PostgresStore::connect(&url_of(url, &database)).await.unwrap();
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(next(&mut wakeups).await, Some(Wakeup::Listening));

    let (name, label) = (LockName::new("Zürich/東京/🔒").unwrap(), "wörker-東京-🔑");
    let (grant, _) = take(&store, &name, label).await;
    let seen = store.inspect(&name).await.unwrap().unwrap();
    assert_eq!((seen.name, seen.lock_by.as_str()), (name.clone(), label));
    store.mark_waiting(&[MarkRequest::new(name.clone(), LONG)]).await.unwrap();
    assert_eq!(release(&store, &name, grant).await, ReleaseAnswer::Released);
    assert_eq!(next(&mut wakeups).await, Some(Wakeup::Freed(name)));

    drop((store, wakeups));
    admin.batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)")).await.unwrap();
}

async fn labels_of_others_hide_no_lock(url: &str) {
    let (admin, table) = (session(url).await, unique("scribbled"));
    let store = PostgresStore::builder().table(&table).connect(url).await.unwrap();
    let name = name("lock");
    take(&store, &name, "tester").await;
    admin.batch_execute(&format!("UPDATE {table} SET lock_by = E'by\\nhand'")).await.unwrap();
    let seen = store.inspect(&name).await.unwrap().unwrap();
    assert_eq!(seen.lock_by.as_str(), "(unreadable)");
    admin.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
}

async fn purge_spares_tokens_ahead_of_the_clock(url: &str) {
    let (admin, table) = (session(url).await, unique("ahead"));
    let store = PostgresStore::builder().table(&table).connect(url).await.unwrap();
    let name = name("lock");
    let (grant, token) = take(&store, &name, "tester").await;
    release(&store, &name, grant).await;
    let ahead = token.get() + 3_600_000_000;
    admin.execute(&format!("UPDATE {table} SET token = $1"), &[&ahead]).await.unwrap();

    assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(take(&store, &name, "tester").await.1.get(), ahead + 1);
    admin.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
}

async fn one_locked_row_keeps_no_other_waiting(url: &str) {
    let (admin, table) = (session(url).await, unique("watched"));
    let store = PostgresStore::builder().table(&table).connect(url).await.unwrap();
    let mut renewals = Vec::new();
    for at in 0..20 {
        let name = name(&format!("lock-{at}"));
        let (grant, token) = take(&store, &name, "tester").await;
        renewals.push(RenewRequest::new(name, grant, token, LONG * 2));
    }
    let watched = renewals[7].clone();
    admin.batch_execute("BEGIN").await.unwrap();
    let sql = format!("SELECT FROM {table} WHERE name = $1 FOR UPDATE");
    admin.query_one(&sql, &[&watched.name.as_bytes()]).await.unwrap();

    let all = store.renew(&renewals).await.unwrap_err();
    assert!(all.is_transient() && !all.kind().took_no_effect(), "{}", said(&all));
    let alone = store.renew(std::slice::from_ref(&watched)).await.unwrap_err();
    assert_eq!(alone.kind(), StoreErrorKind::Conflict, "{}", said(&alone));
    for renewal in renewals.iter().filter(|renewal| renewal.name != watched.name) {
        let left = store.inspect(&renewal.name).await.unwrap().unwrap().remaining;
        assert!(left > LONG, "{:?} was renewed in spite of {:?}: {left:?}", renewal.name, watched.name);
    }
    let one = store.release(&[unlock(&watched)]).await.unwrap_err();
    assert_eq!(one.kind(), StoreErrorKind::Conflict, "{}", said(&one));
    assert_eq!(release(&store, &renewals[0].name, renewals[0].grant).await, ReleaseAnswer::Released);

    admin.batch_execute("COMMIT").await.unwrap();
    renewals.remove(0);
    let answers = store.renew(&renewals).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, RenewAnswer::Renewed { .. })), "{answers:?}");
    admin.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
}

async fn renewal_that_waits_revives_no_expired_lease(url: &str) {
    let (admin, table) = (session(url).await, unique("expiring"));
    let store = Arc::new(PostgresStore::builder().table(&table).connect(url).await.unwrap());
    let name = name("lock");
    let mut request = wanted(&name, grant(), "tester");
    request.lease = Duration::from_millis(300);
    // Warm: what follows is about milliseconds.
    let (other, token) = take(&*store, &server::name("warm"), "tester").await;
    let _ = store.renew(&[RenewRequest::new(name.clone(), other, token, LONG)]).await;

    let answers = store.acquire(std::slice::from_ref(&request)).await.unwrap();
    let golock_core::store::AcquireAnswer::Granted { token, .. } = answers[0] else { panic!("{answers:?}") };
    admin.batch_execute("BEGIN").await.unwrap();
    let sql = format!("SELECT FROM {table} WHERE name = $1 FOR UPDATE");
    admin.query_one(&sql, &[&name.as_bytes()]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let renewal = RenewRequest::new(name.clone(), request.grant, token, LONG);
    let renewing = tokio::spawn({
        let store = store.clone();
        async move { store.renew(&[renewal]).await }
    });
    // The lease runs out while the renewal waits; the row is as it was when the wait is over.
    tokio::time::sleep(Duration::from_millis(150)).await;
    admin.batch_execute("ROLLBACK").await.unwrap();
    let answer = renewing.await.unwrap();
    assert!(!matches!(answer.as_deref(), Ok([RenewAnswer::Renewed { .. }])), "{answer:?}");
    assert_eq!(store.inspect(&name).await.unwrap(), None);
    admin.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
}

async fn words_of_the_driver_are_understood(url: &str) {
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

async fn locker_locks_over_a_url(url: &str) {
    let locker = golock_postgres::connect(url).await.unwrap();
    let name = unique("nightly-report");
    let lock = locker.try_lock(LockOptions::new(&name).lock_by("worker-1")).await.unwrap();
    let refused = locker.try_lock(LockOptions::new(&name)).await.unwrap_err();
    assert_eq!(refused.holder().unwrap().lock_by.as_str(), "worker-1");
    lock.unlock().await.unwrap();
    assert_eq!(locker.backend(), "postgres");
}

fn pool(url: &str) -> Pool {
    Pool::builder(Manager::new(url.parse().unwrap(), NoTls)).max_size(3).build().unwrap()
}

fn unlock(renewal: &RenewRequest) -> golock_core::store::ReleaseRequest {
    golock_core::store::ReleaseRequest::new(renewal.name.clone(), renewal.grant, Duration::ZERO)
}

async fn next(wakeups: &mut golock_core::store::Wakeups) -> Option<Wakeup> {
    let next = std::future::poll_fn(|cx| wakeups.as_mut().poll_next(cx));
    tokio::time::timeout(Duration::from_secs(30), next).await.unwrap()
}

/// An error and its sources.
fn said(error: &StoreError) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said += &format!(": {error}");
        source = error.source();
    }
    said
}
