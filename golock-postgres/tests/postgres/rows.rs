//! Rows: written by others, ahead of the clock, locked by an open transaction.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::servers::Server;
use golock_core::StoreErrorKind;
use golock_core::store::{
    AcquireAnswer, LockStore, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest,
};
use golock_postgres::PostgresStore;

use crate::said;
use crate::server::{LONG, grant, name, release, session, take, unique, wanted};

pub(crate) async fn labels_of_others_hide_no_lock(server: Arc<Server>) {
    let url = server.url();
    let (admin, table) = (session(url).await, unique("scribbled"));
    let store = PostgresStore::builder().table(&table).connect(url).await.unwrap();
    let name = name("lock");
    take(&store, &name, "tester").await;
    admin.batch_execute(&format!("UPDATE {table} SET lock_by = E'by\\nhand'")).await.unwrap();
    let seen = store.inspect(&name).await.unwrap().unwrap();
    assert_eq!(seen.lock_by.as_str(), "(unreadable)");
    admin.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
}

pub(crate) async fn purge_spares_tokens_ahead_of_the_clock(server: Arc<Server>) {
    let url = server.url();
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

/// A page is what is looked at, not what is found: some of these have nothing to delete, and the last is not full.
pub(crate) async fn purge_goes_through_a_large_table(server: Arc<Server>) {
    let url = server.url();
    let (admin, table) = (session(url).await, unique("large"));
    let store = PostgresStore::builder().table(&table).connect(url).await.unwrap();
    let insert = format!(
        "INSERT INTO {table} (name, lock_by, token, locked_at, expires_at)
         SELECT convert_to('name ' || lpad(n::text, 5, '0'), 'UTF8'), 'tester', 1, now(),
                now() + CASE WHEN n < 20 OR n >= 24900 THEN interval '-1 hour' ELSE interval '1 hour' END
         FROM generate_series(0, 24999) n"
    );
    admin.batch_execute(&insert).await.unwrap();
    assert_eq!(store.purge(LONG).await.unwrap(), 120);
    assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 0);
    admin.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
}

pub(crate) async fn one_locked_row_keeps_no_other_waiting(server: Arc<Server>) {
    let url = server.url();
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

pub(crate) async fn renewal_that_waits_revives_no_expired_lease(server: Arc<Server>) {
    let url = server.url();
    let (admin, table) = (session(url).await, unique("expiring"));
    let store = Arc::new(PostgresStore::builder().table(&table).connect(url).await.unwrap());
    let name = name("lock");
    let mut request = wanted(&name, grant(), "tester");
    request.lease = Duration::from_millis(300);
    // Warm: what follows is about milliseconds.
    let (other, token) = take(&*store, &crate::server::name("warm"), "tester").await;
    let _ = store.renew(&[RenewRequest::new(name.clone(), other, token, LONG)]).await;

    let answers = store.acquire(std::slice::from_ref(&request)).await.unwrap();
    let AcquireAnswer::Granted { token, .. } = answers[0] else { panic!("{answers:?}") };
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

fn unlock(renewal: &RenewRequest) -> ReleaseRequest {
    ReleaseRequest::new(renewal.name.clone(), renewal.grant, Duration::ZERO)
}
