//! Rows: locked by others, written by others, merged by a collation; many of them, and the news of one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use golock_conformance::servers::Server;
use golock_core::store::{
    AcquireRequest, ListRequest, LockStore, MarkRequest, ReleaseAnswer, ReleaseRequest, RenewAnswer,
    RenewRequest, Wakeup,
};
use golock_core::{LockName, StoreErrorKind};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::Client;
use golock_mongo::mongodb::bson::{DateTime, doc};
use tokio::time::{sleep, timeout};

use crate::server::{DATABASE, unique};
use crate::{LONG, name, new_grant, release, said, store_and_rows, take, wanted};

pub(crate) async fn one_locked_row_keeps_no_other_lease_waiting(server: Arc<Server>) {
    let url = server.url();
    let (store, rows) = store_and_rows(url).await;
    let mut renewals = Vec::new();
    for at in 0..8 {
        let name = name(&format!("lease-{at}"));
        let (grant, token) = take(&store, &name).await;
        renewals.push(RenewRequest::new(name, grant, token, LONG * 2));
    }
    let mut session = rows.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    let (locked, touch) = (doc! { "_id": renewals[3].name.as_str() }, doc! { "$set": { "touched": true } });
    rows.update_one(locked, touch).session(&mut session).await.unwrap();

    let answers = timeout(LONG, store.renew(&renewals)).await.unwrap().unwrap();
    for (at, answer) in answers.iter().enumerate() {
        let RenewAnswer::Renewed { remaining, .. } = answer else { panic!("lease {at}: {answer:?}") };
        assert_eq!(*remaining > LONG, at != 3, "lease {at}: {remaining:?} remain");
        assert!(*remaining > LONG / 2, "lease {at}: {remaining:?} remain");
    }
    session.abort_transaction().await.unwrap();
    let again = store.renew(&renewals[3..4]).await.unwrap();
    assert!(matches!(again[..], [RenewAnswer::Renewed { remaining, .. }] if remaining > LONG), "{again:?}");
}

pub(crate) async fn names_that_a_collation_merges_are_refused_by_it(server: Arc<Server>) {
    let url = server.url();
    let collection = unique("merging");
    let admin = Client::with_uri_str(url).await.unwrap();
    let create = doc! { "create": &collection, "collation": { "locale": "en", "strength": 1 } };
    admin.database(DATABASE).run_command(create).await.unwrap();
    let store = MongoStore::builder().database(DATABASE).collection(&collection).connect(url).await.unwrap();

    let (small, large) = (LockName::new("job").unwrap(), LockName::new("JOB").unwrap());
    let (grant, token) = take(&store, &small).await;
    let error = store.acquire(&[wanted(&large, new_grant())]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration, "{}", said(&error));
    assert!(said(&error).contains("collation"), "{}", said(&error));
    assert_eq!(store.inspect(&small).await.unwrap().unwrap().token, token);
    assert_eq!(release(&store, &small, grant).await, ReleaseAnswer::Released);
}

pub(crate) async fn rows_of_others_are_told_or_passed_over(server: Arc<Server>) {
    let url = server.url();
    let (store, rows) = store_and_rows(url).await;
    let far = DateTime::from_millis(4_000_000_000_000);
    let row = doc! { "_id": "theirs", "token": 7.5, "expiresAt": far, "lockedAt": far, "lockBy": "somebody" };
    rows.insert_one(row).await.unwrap();
    rows.insert_one(doc! { "_id": 7, "token": 7_i64, "expiresAt": far }).await.unwrap();
    let held = name("held");
    take(&store, &held).await;
    rows.update_one(doc! { "_id": held.as_str() }, doc! { "$set": { "lockBy": "\u{7}" } }).await.unwrap();

    let theirs = LockName::new("theirs").unwrap();
    let error = store.acquire(&[wanted(&theirs, new_grant())]).await.unwrap_err();
    assert!(said(&error).contains("golock did not write: token"), "{}", said(&error));
    // It might have been granted all the same.
    assert!(!error.kind().took_no_effect() && !error.is_transient(), "{}", said(&error));
    assert_eq!(store.inspect(&theirs).await.unwrap_err().kind(), StoreErrorKind::SchemaMissing);
    rows.delete_one(doc! { "_id": "theirs" }).await.unwrap();
    // A label that is none hides no lock, and a name that is none is no lock.
    let listed = store.list(&ListRequest::new("", 10)).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0].name, listed[0].lock_by.as_str()), (&held, "(unreadable)"));
}

/// A page is what is looked at, not what is found: some of these have nothing to delete, and the last is not full.
pub(crate) async fn purge_goes_through_a_large_collection(server: Arc<Server>) {
    let (store, rows) = store_and_rows(server.url()).await;
    let at = DateTime::from_millis;
    let row = |n: u32| {
        let expires_at = if (20..24_900).contains(&n) { at(4_000_000_000_000) } else { at(1_000) };
        doc! { "_id": format!("name {n:05}"), "lockBy": "tester", "token": 1_i64, "lockedAt": at(0), "expiresAt": expires_at }
    };
    rows.insert_many((0..25_000).map(row)).await.unwrap();
    assert_eq!(store.purge(LONG).await.unwrap(), 120);
    assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 0);
    rows.drop().await.unwrap();
}

/// The others are renewed, so the engine has to be told to ask for each by itself.
pub(crate) async fn row_that_can_not_be_read_costs_no_other_lease(server: Arc<Server>) {
    let (store, rows) = store_and_rows(server.url()).await;
    let mut renewals = Vec::new();
    for at in 0..3 {
        let name = name(&format!("beside-{at}"));
        let (grant, token) = take(&store, &name).await;
        renewals.push(RenewRequest::new(name, grant, token, LONG));
    }
    let damaged = doc! { "_id": renewals[1].name.as_str() };
    rows.update_one(damaged, doc! { "$unset": { "expiresAt": true } }).await.unwrap();

    let error = store.renew(&renewals).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other, "{}", said(&error));
    for (at, renewal) in renewals.iter().enumerate() {
        let alone = store.renew(std::slice::from_ref(renewal)).await;
        let renewed = matches!(alone.as_deref(), Ok([RenewAnswer::Renewed { .. }]));
        assert_eq!(renewed, at != 1, "{at}: {alone:?}");
    }
}

pub(crate) async fn more_locks_than_a_batch_holds_are_listed(server: Arc<Server>) {
    let url = server.url();
    let (store, _) = store_and_rows(url).await;
    let names: Vec<LockName> = (0..250).map(|at| LockName::new(format!("many-{at:03}")).unwrap()).collect();
    let requests: Vec<AcquireRequest> = names.iter().map(|name| wanted(name, new_grant())).collect();
    store.acquire(&requests).await.unwrap();
    let listed = store.list(&ListRequest::new("many-", 1_000)).await.unwrap();
    assert_eq!(listed.into_iter().map(|info| info.name).collect::<Vec<_>>(), names);
    assert_eq!(store.list(&ListRequest::new("many-", 0)).await.unwrap(), []);
}

pub(crate) async fn end_of_lock_at_least_is_told_to_those_who_wait(server: Arc<Server>) {
    let url = server.url();
    let (store, _) = store_and_rows(url).await;
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(timeout(LONG, wakeups.next()).await.unwrap(), Some(Wakeup::Listening));
    let name = name("kept");
    let (grant, _) = take(&store, &name).await;
    store.mark_waiting(&[MarkRequest::new(name.clone(), LONG)]).await.unwrap();
    let kept = ReleaseRequest::new(name.clone(), grant, LONG / 2);
    assert_eq!(store.release(&[kept]).await.unwrap(), [ReleaseAnswer::Released]);
    assert_eq!(timeout(LONG, wakeups.next()).await.unwrap(), Some(Wakeup::Freed(name.clone())));
    // And once more, when it is freed before that.
    sleep(Duration::from_millis(2)).await;
    store.force_unlock(&name).await.unwrap().unwrap();
    assert_eq!(timeout(LONG, wakeups.next()).await.unwrap(), Some(Wakeup::Freed(name)));
}
