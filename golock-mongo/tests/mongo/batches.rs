//! Renewals of many leases: how many commands they are, and what becomes of leases that can't be renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use golock_conformance::servers::{Server, url_at};
use golock_core::LostReason::{Expired, Revoked, RowGone, Taken};
use golock_core::store::{AcquireAnswer, LockStore, RenewAnswer, RenewRequest};
use golock_core::{FencingToken, LockName, LockOptions, Locker, StoreErrorKind};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::Collection;
use golock_mongo::mongodb::bson::{Bson, DateTime, Document, doc};
use tokio::time::timeout;

use crate::commands::{kinds, observed};
use crate::meddler::{Fate, error, meddler};
use crate::server::{DATABASE, unique};
use crate::{LONG, acquire, name, new_grant, release, rows, said, take};

/// Longer than the leases are at first, so that each renewal extends them.
const LONGER: Duration = LONG.saturating_mul(2);

pub(crate) async fn many_leases_are_renewed_by_one_command(server: Arc<Server>) {
    let (store, _, seen) = observed(server.url(), "retryWrites=true").await;
    let renewals = leases(&store, 100).await;
    seen.lock().unwrap().clear();
    for answer in store.renew(&renewals).await.unwrap() {
        assert!(remaining(&answer) > LONG && remaining(&answer) < LONGER, "{answer:?}");
    }
    assert_eq!(kinds(&seen), ["update"]);
    for renewal in [&renewals[0], &renewals[renewals.len() - 1]] {
        assert!(store.inspect(&renewal.name).await.unwrap().unwrap().remaining > LONG);
    }
}

pub(crate) async fn each_loss_among_many_is_found_and_made_sure_of(server: Arc<Server>) {
    let (store, rows, seen) = observed(server.url(), "retryWrites=true").await;
    let mut renewals = leases(&store, 8).await;
    // Those from the second on, in this order.
    store.revoke(&renewals[1].name).await.unwrap().unwrap();
    assert!(store.force_unlock(&renewals[2].name).await.unwrap().is_some());
    let (taker, _) = take(&store, &renewals[2].name).await;
    end(&rows, &renewals[3].name).await;
    rows.delete_one(doc! { "_id": renewals[4].name.as_str() }).await.unwrap();
    // The same grant, under a newer token.
    end(&rows, &renewals[5].name).await;
    let again = acquire(&store, &renewals[5].name, renewals[5].grant).await;
    assert!(matches!(again, AcquireAnswer::Granted { token, .. } if token > renewals[5].token), "{again:?}");
    // A lease that is longer than what is asked for.
    store.renew(&renewals[6..7]).await.unwrap();
    renewals[6].lease = LONG / 2;
    seen.lock().unwrap().clear();

    let answers = store.renew(&renewals).await.unwrap();
    // Each of the five that look lost is asked for by itself: what a majority knows may be older.
    assert_eq!(kinds(&seen), [&["update", "find"][..], &["findAndModify"; 5]].concat());
    for (at, answer) in answers.iter().enumerate() {
        match at {
            1 => assert_eq!(*answer, RenewAnswer::Lost(Revoked)),
            // Its grant is the last released one.
            2 => assert_eq!(*answer, RenewAnswer::Lost(Revoked)),
            3 => assert_eq!(*answer, RenewAnswer::Lost(Expired)),
            4 => assert_eq!(*answer, RenewAnswer::Lost(RowGone)),
            5 => assert_eq!(*answer, RenewAnswer::Lost(Taken)),
            _ => assert!(remaining(answer) > LONG, "lease {at}: {answer:?}"),
        }
    }
    // Nothing was written where nothing was renewed.
    assert!(store.inspect(&renewals[5].name).await.unwrap().unwrap().remaining <= LONG);
    for lost in [&renewals[3].name, &renewals[4].name] {
        assert_eq!(store.inspect(lost).await.unwrap(), None);
    }
    // Released by its new holder, another grant is the last released one: the first sees a name that is another's.
    release(&store, &renewals[2].name, taker).await;
    take(&store, &renewals[2].name).await;
    assert_eq!(store.renew(&renewals[2..4]).await.unwrap()[0], RenewAnswer::Lost(Taken));
}

pub(crate) async fn an_unacknowledged_batch_is_unknown(server: Arc<Server>) {
    let (sent, code) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicI32::new(0)));
    let (counted, with) = (Arc::clone(&sent), Arc::clone(&code));
    let meddler = meddler(server.url(), move |command| {
        if !is_renewal(command) {
            return Fate::Pass;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        let error =
            doc! { "code": with.load(Ordering::SeqCst), "errmsg": "waiting for replication timed out" };
        Fate::Amended(doc! { "writeConcernError": error })
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("unacknowledged"));
    let store = builder.connect(&url_at(server.url(), meddler.address)).await.unwrap();
    let renewals = leases(&store, 5).await;
    // WriteConcernFailed; MaxTimeMSExpired, while it waited for the majority.
    for (at, failed) in [64, 50].into_iter().enumerate() {
        code.store(failed, Ordering::SeqCst);
        let error = store.renew(&renewals).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Timeout, "{}", said(&error));
        assert_eq!(sent.load(Ordering::SeqCst), at + 1, "{failed}: no other try");
    }
}

pub(crate) async fn a_batch_that_a_row_spoils_is_done_one_by_one(server: Arc<Server>) {
    // MaxTimeMSExpired and WriteConflict, for the whole command; a statement of it that gave way.
    let conflict = doc! { "index": 2, "code": 112, "errmsg": "the meddler says so" };
    let one = doc! { "ok": 1.0, "n": 4, "nModified": 4, "writeErrors": [conflict] };
    for answer in [error(50, "MaxTimeMSExpired"), error(112, "WriteConflict"), one] {
        let spoilt = answer.clone();
        let meddler = meddler(server.url(), move |command| {
            if is_renewal(command) { Fate::Answered(spoilt.clone()) } else { Fate::Pass }
        });
        let meddler = meddler.await;
        let collection = unique("spoilt");
        let builder = MongoStore::builder().database(DATABASE).collection(&collection);
        let store = builder.connect(&url_at(server.url(), meddler.address)).await.unwrap();
        let renewals = leases(&store, 5).await;
        end(&rows(server.url(), &collection).await, &renewals[4].name).await;
        let answers = store.renew(&renewals).await.unwrap();
        for answered in &answers[..4] {
            assert!(remaining(answered) > LONG, "{answer}: {answered:?}");
        }
        assert_eq!(answers[4], RenewAnswer::Lost(Expired));
        // So many are the engine's to part.
        let error = store.renew(&leases(&store, 40).await).await.unwrap_err();
        assert!(error.is_transient(), "{}", said(&error));
    }
    // A user who may not is told so.
    let meddler = meddler(server.url(), move |command| {
        if is_renewal(command) { Fate::Answered(error(13, "Unauthorized")) } else { Fate::Pass }
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("forbidden"));
    let store = builder.connect(&url_at(server.url(), meddler.address)).await.unwrap();
    let error = store.renew(&leases(&store, 5).await).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Permission, "{}", said(&error));
}

/// As by a validator that was put on the collection (DocumentValidationFailure): it is one row's, and no setting that all fail by.
pub(crate) async fn a_row_that_is_refused_costs_no_other_lease(server: Arc<Server>) {
    let renewing = Arc::new(AtomicBool::new(false));
    let refuses = Arc::clone(&renewing);
    let meddler = meddler(server.url(), move |command| {
        let of =
            |name| command.get_document("query").is_ok_and(|query| query.get_str("_id").ok() == Some(name));
        if is_renewal(command) {
            let refused = doc! { "index": 0, "code": 121, "errmsg": "the meddler says so" };
            Fate::Answered(doc! { "ok": 1.0, "n": 0, "nModified": 0, "writeErrors": [refused] })
        } else if refuses.load(Ordering::SeqCst) && of("refused") {
            Fate::Answered(error(121, "DocumentValidationFailure"))
        } else {
            Fate::Pass
        }
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("refused"));
    let store = builder.connect(&url_at(server.url(), meddler.address)).await.unwrap();
    let error = store.renew(&leases(&store, 5).await).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other, "{}", said(&error));
    assert!(!error.took_no_effect(), "the others may have been extended: {}", said(&error));

    let locker = Locker::new(store);
    let taken = ["one", "other", "refused"].map(|name| {
        let options = LockOptions::new(name).lock_at_most(Duration::from_secs(2)).auto_renew(true);
        locker.try_lock(options)
    });
    let [one, other, refused] =
        join_all(taken).await.try_into().map(|locks: [_; 3]| locks.map(Result::unwrap)).unwrap();
    renewing.store(true, Ordering::SeqCst);
    let lost = async {
        tokio::select! { why = one.lost() => why, why = other.lost() => why }
    };
    let (lost, refused) = join(timeout(Duration::from_secs(5), lost), refused.lost()).await;
    assert_eq!(refused, Expired);
    assert!(lost.is_err(), "{lost:?}");
}

fn is_renewal(command: &Document) -> bool {
    command.keys().next().is_some_and(|kind| kind == "update")
}

/// So many leases, and what renews them.
async fn leases(store: &MongoStore, many: usize) -> Vec<RenewRequest> {
    let names: Vec<LockName> = (0..many).map(|at| name(&format!("lease-{at}"))).collect();
    let wanted: Vec<_> = names.iter().map(|name| crate::wanted(name, new_grant())).collect();
    let answers = store.acquire(&wanted).await.unwrap();
    let granted = |answer: &AcquireAnswer| match answer {
        AcquireAnswer::Granted { token, .. } => *token,
        answer => panic!("it is free: {answer:?}"),
    };
    let tokens: Vec<FencingToken> = answers.iter().map(granted).collect();
    let renewal = |(wanted, token): (golock_core::store::AcquireRequest, _)| {
        RenewRequest::new(wanted.name, wanted.grant, token, LONGER)
    };
    wanted.into_iter().zip(tokens).map(renewal).collect()
}

/// As if its lease had run out.
async fn end(rows: &Collection<Document>, name: &LockName) {
    let past = doc! { "$set": { "expiresAt": Bson::DateTime(DateTime::from_millis(1_000)) } };
    rows.update_one(doc! { "_id": name.as_str() }, past).await.unwrap();
}

#[track_caller]
fn remaining(answer: &RenewAnswer) -> Duration {
    match answer {
        RenewAnswer::Renewed { remaining, .. } => *remaining,
        answer => panic!("it lives: {answer:?}"),
    }
}
