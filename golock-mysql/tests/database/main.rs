//! What MySQL and MariaDB do, and other databases don't: locked rows, sessions that were tampered with.

#![allow(clippy::expect_used, reason = "tests say what they expect")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use golock_conformance::servers::{self, Changes, Server};
use golock_conformance::{BoxError, Unopened};
use golock_core::store::{AcquireAnswer, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest};
use golock_core::{LockStore, LostReason, StoreError, StoreErrorKind};
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;
use tokio::time::sleep;

use db::{Db, acquire, give_back, taken};
use server::{grant, name, unique};

#[path = "../server/mod.rs"]
mod server;

mod batches;
mod db;
mod network;

const LONG: Duration = Duration::from_secs(60);

macro_rules! tests {
    ($($test:path),* $(,)?) => {
        [$((stringify!($test), (|db| async move { succeed($test(&db).await) }.boxed()) as TestOfDb)),*]
    };
}

type TestOfDb = fn(Arc<Db>) -> BoxFuture<'static, ()>;

fn main() -> ExitCode {
    // Built together with other backends, rustls may have several providers, of which the process must choose.
    rustls::crypto::ring::default_provider().install_default().expect("nobody has chosen yet");
    let tests = tests![
        a_refusal_does_not_wait_for_a_locked_row,
        renewals_in_company_do_not_wait_for_a_locked_row,
        a_purge_leaves_a_locked_row_and_waits_for_none,
        a_purge_goes_through_a_large_table,
        a_lease_that_ran_out_behind_a_locked_row_is_not_revived,
        an_acquire_that_waited_for_a_row_is_granted_its_whole_lease,
        a_transaction_left_open_by_a_hook_rolls_no_lock_back,
        connections_closed_while_idle_are_replaced_unnoticed,
        a_killed_statement_is_a_timeout,
        a_read_only_server_is_refused,
        statement_based_replication_is_refused_by_name,
        too_many_connections_are_transient,
        a_user_who_must_use_tls_can,
        network::acquires_that_come_too_late_take_nothing,
        network::a_force_that_comes_too_late_takes_nothing_from_the_next,
        network::what_may_have_been_done_is_told_though_the_server_is_gone,
        batches::acquires_in_company_do_not_wait_for_locked_rows,
        batches::an_acquire_in_company_waits_for_a_row_that_another_makes,
        batches::a_batch_that_fails_takes_nothing,
        batches::an_acquire_in_company_does_not_wait_for_row_after_row,
        batches::releases_in_company_are_told_exactly,
        batches::releases_in_company_do_not_wait_for_a_locked_row,
        batches::a_batch_of_releases_with_a_row_that_stays_locked_is_in_doubt,
        batches::a_row_that_comes_up_while_many_are_released_is_told_as_it_is,
        batches::batches_of_several_processes_get_on_with_each_other,
    ];
    let mysql = ("mysql", open("mysql", Changes::default()));
    // In place of the table's command, by which it has no TLS.
    let command = vec!["mariadbd".to_owned(), "--max-connections=500".to_owned()];
    let mariadb = ("mariadb", open("mariadb", Changes { command, ..Changes::default() }));
    // Some count or end all sessions of the server: one at a time.
    servers::main(vec![mysql, mariadb], 1, &tests)
}

async fn open(id: &'static str, changes: Changes) -> Result<Db, Unopened> {
    let answers =
        async |url: String| -> Result<(), BoxError> { Ok(server::admin(&url).await?.disconnect().await?) };
    Server::open(id, changes, answers).await.map(Db)
}

async fn a_refusal_does_not_wait_for_a_locked_row(db: &Db) -> Result<(), BoxError> {
    let store = db.store().await?;
    let (name, other) = (name("held"), grant());
    let token = taken(&store, &name, grant(), LONG).await?;
    let _locked = db.lock_row("golock", &name).await?;

    let answer = acquire(&store, &name, other, LONG).await?;
    let AcquireAnswer::Held(holder) = answer else { panic!("held, but the answer is {answer:?}") };
    assert_eq!(holder.token, token);
    Ok(())
}

async fn a_purge_leaves_a_locked_row_and_waits_for_none(db: &Db) -> Result<(), BoxError> {
    let table = unique("purged");
    let store = MysqlStore::builder().table(&table).connect(db.0.url()).await?;
    let names = [name("first"), name("locked"), name("last")];
    for name in &names {
        let id = grant();
        taken(&store, name, id, LONG).await?;
        store.release(&[ReleaseRequest::new(name.clone(), id, Duration::ZERO)]).await?;
    }
    let mut locked = db.lock_row(&table, &names[1]).await?;
    assert_eq!(store.purge(Duration::ZERO).await?, 2);
    locked.query_drop("ROLLBACK").await?;
    assert_eq!(store.purge(Duration::ZERO).await?, 1);
    Ok(())
}

/// A page is what is looked at, not what is found: some of these have nothing to delete, and the last is not full.
async fn a_purge_goes_through_a_large_table(db: &Db) -> Result<(), BoxError> {
    let table = unique("large");
    let store = MysqlStore::builder().table(&table).connect(db.0.url()).await?;
    let digit = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
                  UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    db.run(&format!(
        "INSERT INTO {table} (name, lock_by, token, locked_at, expires_at) \
         SELECT CONCAT('name ', LPAD(n, 5, '0')), 'tester', 1, UTC_TIMESTAMP(6), \
                UTC_TIMESTAMP(6) + INTERVAL IF(n < 20 OR n >= 24900, -1, 1) HOUR \
         FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n \
               FROM {digit} AS a, {digit} AS b, {digit} AS c, {digit} AS e, {digit} AS f) AS numbers \
         WHERE n < 25000"
    ))
    .await?;
    assert_eq!(store.purge(LONG).await?, 120);
    assert_eq!(store.purge(Duration::ZERO).await?, 0);
    Ok(())
}

async fn renewals_in_company_do_not_wait_for_a_locked_row(db: &Db) -> Result<(), BoxError> {
    // In a table so small that the server might rather read, and lock, all of it.
    let table = unique("small");
    let store = MysqlStore::builder().table(&table).connect(db.0.url()).await?;
    let short = Duration::from_secs(20);
    let mut requests = Vec::new();
    for at in 0..3 {
        let (name, id) = (name(&format!("kept-{at}")), grant());
        let token = taken(&store, &name, id, short).await?;
        requests.push(RenewRequest::new(name, id, token, LONG));
    }
    let mut locked = db.lock_row(&table, &requests[1].name).await?;

    let left = |answers: &[RenewAnswer], at: usize| match answers[at] {
        RenewAnswer::Renewed { remaining, .. } => remaining,
        ref lost => panic!("request {at} is alive, but the answer is {lost:?}"),
    };
    let answers = store.renew(&requests).await?;
    assert!(left(&answers, 0) > short && left(&answers, 2) > short, "{answers:?}");
    assert!(left(&answers, 1) <= short, "it could not be extended: {answers:?}");

    // Alone it is waited for, as long as the store may.
    let alone = store.renew(&requests[1..2]).await.map_err(|error| error.kind());
    assert_eq!(alone, Err(StoreErrorKind::Conflict));
    locked.query_drop("ROLLBACK").await?;
    let answers = store.renew(&requests).await?;
    assert!(left(&answers, 1) > short, "{answers:?}");
    db.run(&format!("DROP TABLE {table}")).await
}

async fn a_lease_that_ran_out_behind_a_locked_row_is_not_revived(db: &Db) -> Result<(), BoxError> {
    let store = db.store().await?;
    loop {
        let (name, id) = (name("expiring"), grant());
        let token = taken(&store, &name, id, Duration::from_millis(300)).await?;
        let locked = db.lock_row("golock", &name).await?;
        let renewing = tokio::spawn({
            let (store, request) = (Arc::clone(&store), RenewRequest::new(name.clone(), id, token, LONG));
            async move { store.renew(&[request]).await }
        });
        // Its lease ends while it waits for the row.
        db.until_waiting().await?;
        while store.inspect(&name).await?.is_some() {}
        drop(locked);

        match renewing.await? {
            // On a busy machine it may have given up before.
            Err(error) if error.kind() == StoreErrorKind::Conflict => continue,
            answers => assert_eq!(answers?, [RenewAnswer::Lost(LostReason::Expired)]),
        }
        assert_eq!(store.inspect(&name).await?, None);
        return Ok(());
    }
}

async fn an_acquire_that_waited_for_a_row_is_granted_its_whole_lease(db: &Db) -> Result<(), BoxError> {
    let store = MysqlStore::builder().request_timeout(LONG).connect(db.0.url()).await?;
    let store = Arc::new(store);
    let name = name("free");
    give_back(&store, &name, grant()).await?;
    let locked = db.lock_row("golock", &name).await?;
    let lease = Duration::from_secs(3);
    let acquiring = tokio::spawn({
        let (store, name) = (Arc::clone(&store), name.clone());
        async move { acquire(&store, &name, grant(), lease).await }
    });
    db.until_waiting().await?;
    sleep(lease).await;
    drop(locked);

    let answer = acquiring.await??;
    let AcquireAnswer::Granted { remaining, .. } = answer else { panic!("it was free: {answer:?}") };
    // Counted from before the wait, nothing would be left of it.
    assert!(remaining > Duration::ZERO && remaining <= lease, "{remaining:?} of {lease:?}");
    Ok(())
}

async fn a_transaction_left_open_by_a_hook_rolls_no_lock_back(db: &Db) -> Result<(), BoxError> {
    // As hooks run the last one first.
    let hooks = vec!["START TRANSACTION", "SET SESSION completion_type = 1", "SET SESSION autocommit = 0"];
    let store = MysqlStore::new(db.opts()?.init(hooks))?;
    let name = name("held");
    let answer = acquire(&store, &name, grant(), LONG).await?;
    assert!(matches!(answer, AcquireAnswer::Granted { .. }), "{answer:?}");
    drop(store);

    db.until_alone().await?;
    assert!(db.store().await?.inspect(&name).await?.is_some(), "the lock was rolled back with its session");
    Ok(())
}

async fn connections_closed_while_idle_are_replaced_unnoticed(db: &Db) -> Result<(), BoxError> {
    let store = db.store().await?;
    let (name, id) = (name("kept"), grant());
    let token = taken(&store, &name, id, LONG).await?;
    let renewal = RenewRequest::new(name.clone(), id, token, LONG);
    store.renew(std::slice::from_ref(&renewal)).await?;

    db.kill_others().await?;
    assert!(matches!(store.renew(&[renewal]).await?[..], [RenewAnswer::Renewed { .. }]));
    assert!(store.inspect(&name).await?.is_some());
    db.kill_others().await?;
    assert_eq!(taken(&store, &name, id, LONG).await?, token, "the same grant again");

    // Told as it is: whether the release had been done, only its repetition shows.
    give_back(&store, &name, grant()).await?;
    db.kill_others().await?;
    let release = [ReleaseRequest::new(name.clone(), id, Duration::ZERO)];
    assert_eq!(store.release(&release).await.map_err(|error| error.kind()), Err(StoreErrorKind::Connection));
    assert_eq!(store.release(&release).await?, [ReleaseAnswer::Released]);
    Ok(())
}

async fn a_killed_statement_is_a_timeout(db: &Db) -> Result<(), BoxError> {
    let store = db.store().await?;
    let name = name("free");
    give_back(&store, &name, grant()).await?;
    let _locked = db.lock_row("golock", &name).await?;
    let acquiring = tokio::spawn({
        let (store, name) = (Arc::clone(&store), name.clone());
        async move { acquire(&store, &name, grant(), LONG).await }
    });
    let waiting = db.until_waiting().await?;
    db.run(&format!("KILL QUERY {waiting}")).await?;
    assert_eq!(acquiring.await?.map_err(|error| error.kind()), Err(StoreErrorKind::Timeout));
    Ok(())
}

async fn a_read_only_server_is_refused(db: &Db) -> Result<(), BoxError> {
    let store = db.store().await?;
    db.run("SET GLOBAL read_only = 1").await?;
    let refused = MysqlStore::connect(db.0.url()).await.map(drop);
    db.run("SET GLOBAL read_only = 0").await?;
    // Although this user may write all the same.
    let error = refused.expect_err("a lock on a replica excludes nobody");
    assert_eq!(error.kind(), StoreErrorKind::ReadOnly);
    give_back(&store, &name("writable"), grant()).await?;
    Ok(())
}

async fn statement_based_replication_is_refused_by_name(db: &Db) -> Result<(), BoxError> {
    if db.0.id() == "mariadb" {
        // It has no binary log here.
        return Ok(());
    }
    let store = MysqlStore::new(db.opts()?.init(vec!["SET SESSION binlog_format = 'STATEMENT'"]))?;
    let error = acquire(&store, &name("new"), grant(), LONG).await.expect_err("it is refused by the server");
    assert_eq!(error.kind(), StoreErrorKind::Configuration);
    assert!(source(&error).contains("BINLOG_FORMAT"), "{}", source(&error));
    Ok(())
}

async fn too_many_connections_are_transient(db: &Db) -> Result<(), BoxError> {
    let url = db.user("WITH MAX_USER_CONNECTIONS 1", "ALL PRIVILEGES ON mysql.*").await?;
    let _first = MysqlStore::connect(&url).await?;
    let error = MysqlStore::connect(&url).await.map(drop).expect_err("a second connection");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", source(&error));
    Ok(())
}

async fn a_user_who_must_use_tls_can(db: &Db) -> Result<(), BoxError> {
    if db
        .admin()
        .await?
        .query_first::<String, _>("SELECT @@have_ssl")
        .await
        .is_ok_and(|ssl| ssl.as_deref() != Some("YES"))
    {
        // This server has no TLS.
        return Ok(());
    }
    let url = db.user("REQUIRE SSL", "ALL PRIVILEGES ON mysql.*").await?;
    let error = MysqlStore::connect(&url).await.map(drop).expect_err("this user must use TLS");
    assert_eq!(error.kind(), StoreErrorKind::Authentication, "{}", source(&error));

    let store = MysqlStore::connect(&format!("{url}?require_ssl=true&verify_ca=false")).await?;
    give_back(&store, &name("encrypted"), grant()).await?;
    Ok(())
}

fn source(error: &StoreError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

fn succeed(outcome: Result<(), BoxError>) {
    if let Err(error) = outcome {
        let causes = std::iter::successors(error.source(), |error| error.source());
        panic!("{}", causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")));
    }
}
