//! What a server like MongoDB may answer: by a relay that meddles with the answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use golock_conformance::servers::{Server, url_at};
use golock_core::store::{
    AcquireAnswer, LockStore, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest,
};
use golock_core::{FencingToken, GrantId, LockOptions, Locker, LostReason, StoreErrorKind};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::doc;
use tokio::time::sleep;

use crate::meddler::{Fate, error, meddler};
use crate::server::{DATABASE, unique};
use crate::{LONG, acquire, everything, name, new_grant, release, rows, said, settled, take, wanted};

pub(crate) async fn an_unacknowledged_write_is_unknown_and_undone(server: Arc<Server>) {
    let url = server.url();
    let unacknowledged = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&unacknowledged);
    let meddler = meddler(url, move |command| {
        let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if !command.contains_key("findAndModify") || taken.is_err() {
            return Fate::Pass;
        }
        let error = doc! { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out" };
        Fate::Amended(doc! { "writeConcernError": error })
    });
    let meddler = meddler.await;
    let collection = unique("unacknowledged");
    let builder = MongoStore::builder().database(DATABASE).collection(&collection);
    let store = builder.clone().connect(&url_at(url, meddler.address)).await.unwrap();
    let direct = builder.connect(url).await.unwrap();

    let (name, grant) = (name("lock"), new_grant());
    // `hello` is counted, too, should the driver send one: more than one is lost, then.
    unacknowledged.store(1, Ordering::SeqCst);
    let error = store.acquire(&[wanted(&name, grant)]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout, "{}", said(&error));
    assert!(!error.kind().took_no_effect());
    // It did happen, on this primary. The same grant may ask again.
    assert!(matches!(acquire(&direct, &name, new_grant()).await, AcquireAnswer::Held(_)));
    assert!(matches!(acquire(&store, &name, grant).await, AcquireAnswer::Granted { .. }));
    release(&store, &name, grant).await;

    // And the engine gives back what it does not know to have.
    let locker = Locker::new(store);
    unacknowledged.store(1, Ordering::SeqCst);
    match locker.try_lock(LockOptions::new(name.as_str()).lock_at_most(LONG)).await {
        // It asked again in time, for the same grant.
        Ok(lock) => lock.unlock().await.unwrap(),
        Err(error) => assert!(error.is_transient(), "{error:?}"),
    }
    while direct.inspect(&name).await.unwrap().is_some() {
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whose clock is not the servers'.
pub(crate) async fn a_router_of_a_sharded_cluster_is_refused(server: Arc<Server>) {
    let meddler = meddler(server.url(), |command| {
        if command.contains_key("hello") { Fate::Amended(doc! { "msg": "isdbgrid" }) } else { Fate::Pass }
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("sharded"));
    let error = builder.connect(&url_at(server.url(), meddler.address)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration, "{}", said(&error));
    assert!(said(&error).contains("mongos"), "{}", said(&error));
}

/// What a majority knows may be older than a lease: after a failover, for a moment.
pub(crate) async fn a_lease_is_not_lost_because_an_old_state_is_read(server: Arc<Server>) {
    let url = server.url();
    let forgetful = Arc::new(AtomicUsize::new(0));
    let forgets = Arc::clone(&forgetful);
    let meddler = meddler(url, move |command| {
        if forgets.load(Ordering::SeqCst) == 0 {
            return Fate::Pass;
        }
        if command.contains_key("update") {
            return Fate::Amended(doc! { "nModified": 1 });
        }
        if command.contains_key("find") {
            return Fate::Answered(
                doc! { "cursor": { "id": 0_i64, "ns": "x.y", "firstBatch": [] }, "ok": 1.0 },
            );
        }
        Fate::Pass
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("older"));
    let store = builder.connect(&url_at(url, meddler.address)).await.unwrap();
    let mut renewals = Vec::new();
    for at in 0..3 {
        let name = name(&format!("kept-{at}"));
        let (grant, token) = take(&store, &name).await;
        renewals.push(RenewRequest::new(name, grant, token, LONG));
    }
    forgetful.store(1, Ordering::SeqCst);
    let answers = store.renew(&renewals).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, RenewAnswer::Renewed { .. })), "{answers:?}");
}

pub(crate) async fn servers_that_refuse_upserts_are_served_in_two_steps(server: Arc<Server>) {
    let url = server.url();
    for (code, code_name) in [(66, "ImmutableField"), (117, "ConflictingOperationInProgress")] {
        let upserts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&upserts);
        let meddler = meddler(url, move |command| {
            if command.get_bool("upsert").unwrap_or(false) {
                counted.fetch_add(1, Ordering::SeqCst);
                return Fate::Answered(error(code, code_name));
            }
            Fate::Pass
        });
        let meddler = meddler.await;
        let collection = unique("two_steps");
        let builder = MongoStore::builder().database(DATABASE).collection(&collection);
        let store = builder.clone().connect(&url_at(url, meddler.address)).await.unwrap();
        let other = builder.connect(&url_at(url, meddler.address)).await.unwrap();

        everything(&store).await;
        assert_eq!(upserts.load(Ordering::SeqCst), 1, "{code}: once is enough to know");

        // One winner on a name that nobody has seen, and every grant's token larger than the last.
        for _ in 0..20 {
            let contended = name("contended");
            let grants: Vec<GrantId> = (0..16).map(|_| new_grant()).collect();
            let asked = grants.iter().enumerate().map(|(at, grant)| {
                let store = if at % 2 == 0 { &store } else { &other };
                settled(store, &contended, *grant)
            });
            let answers = join_all(asked).await;
            let won = answers.iter().filter(|answer| matches!(answer, AcquireAnswer::Granted { .. })).count();
            assert_eq!(won, 1, "{code}: {answers:?}");
        }

        // An undo before its acquire, at a name that nobody has seen.
        let (undone, late) = (name("undone"), new_grant());
        assert_eq!(release(&store, &undone, late).await, ReleaseAnswer::NotYours(LostReason::RowGone));
        assert_eq!(acquire(&other, &undone, late).await, AcquireAnswer::Raced);
        assert_eq!(other.inspect(&undone).await.unwrap(), None);
        take(&other, &undone).await;

        // A client that ended between the two steps leaves a row without fields, which is as good as none.
        let rows = rows(url, &collection).await;
        for (at, half) in [name("half"), name("half")].into_iter().enumerate() {
            rows.insert_one(doc! { "_id": half.as_str() }).await.unwrap();
            assert_eq!(store.inspect(&half).await.unwrap(), None);
            let renewal = RenewRequest::new(half.clone(), late, FencingToken::new(1), LONG);
            assert_eq!(store.renew(&[renewal]).await.unwrap(), [RenewAnswer::Lost(LostReason::RowGone)]);
            if at == 0 {
                assert_eq!(release(&store, &half, late).await, ReleaseAnswer::NotYours(LostReason::RowGone));
                assert_eq!(acquire(&store, &half, late).await, AcquireAnswer::Raced);
            }
            take(&store, &half).await;
        }
    }
}

pub(crate) async fn a_failure_beside_what_was_done_does_not_say_that_nothing_was(server: Arc<Server>) {
    let url = server.url();
    let (spoilt, good) = (name("spoilt"), name("good"));
    let unlucky = spoilt.clone();
    let meddler = meddler(url, move |command| {
        let is_its = command
            .get_document("query")
            .is_ok_and(|query| query.get_str("_id").ok() == Some(unlucky.as_str()));
        if is_its { Fate::Answered(error(112, "WriteConflict")) } else { Fate::Pass }
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("half"));
    let store = builder.connect(&url_at(url, meddler.address)).await.unwrap();
    let alone = store.acquire(&[wanted(&spoilt, new_grant())]).await.unwrap_err();
    assert!(alone.kind().took_no_effect(), "{alone}");
    let grant = new_grant();
    let both = [wanted(&good, grant), wanted(&spoilt, new_grant())];
    let error = store.acquire(&both).await.unwrap_err();
    assert!(!error.kind().took_no_effect(), "{error}");
    assert!(store.inspect(&good).await.unwrap().is_some());
    let both = [
        ReleaseRequest::new(good, grant, Duration::ZERO),
        ReleaseRequest::new(spoilt, grant, Duration::ZERO),
    ];
    let error = store.release(&both).await.unwrap_err();
    assert!(!error.kind().took_no_effect(), "{error}");
}

pub(crate) async fn upserts_that_collide_are_tried_again(server: Arc<Server>) {
    let url = server.url();
    let (collisions, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, to_come) = (Arc::clone(&collisions), Arc::clone(&left));
    let meddler = meddler(url, move |command| {
        let mine = command.contains_key("findAndModify");
        if mine
            && to_come.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            let code = if seen.fetch_add(1, Ordering::SeqCst) % 2 == 0 { 11000 } else { 112 };
            return Fate::Answered(error(code, "DuplicateKey or WriteConflict"));
        }
        Fate::Pass
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("colliding"));
    let store = builder.connect(&url_at(url, meddler.address)).await.unwrap();
    for _ in 0..2 {
        left.store(1, Ordering::SeqCst);
        take(&store, &name("once")).await;
    }
    left.store(2, Ordering::SeqCst);
    let error = store.acquire(&[wanted(&name("twice"), new_grant())]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict, "{}", said(&error));
    assert_eq!(collisions.load(Ordering::SeqCst), 4);
}

/// What takes a lock from its holder is about the grant that was seen, for it may come through when another has the lock.
pub(crate) async fn a_lock_is_taken_from_the_holder_that_was_seen(server: Arc<Server>) {
    let url = server.url();
    let (tries, misses) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (told, left) = (Arc::clone(&tries), Arc::clone(&misses));
    let meddler = meddler(url, move |command| {
        let Ok(query) = command.get_document("query") else { return Fate::Pass };
        told.lock().unwrap().push(query.get_i64("token").ok());
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            // As if another had it by now.
            Ok(_) => Fate::Answered(doc! { "ok": 1.0, "value": null }),
            Err(_) => Fate::Pass,
        }
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("fenced"));
    let store = builder.connect(&url_at(url, meddler.address)).await.unwrap();
    let job = name("job");
    let (_, token) = take(&store, &job).await;
    tries.lock().unwrap().clear();
    misses.store(2, Ordering::SeqCst);
    let fenced = store.force_unlock(&job).await.unwrap();
    assert!(fenced > Some(token));
    assert_eq!(*tries.lock().unwrap(), [Some(token.get()); 3]);
    take(&store, &job).await;
    misses.store(10, Ordering::SeqCst);
    let error = store.revoke(&job).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict, "{}", said(&error));
}
