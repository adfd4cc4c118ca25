//! Hand-overs: one command, and what stands in their way.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::servers::Server;
use golock_core::LostReason;
use golock_core::store::{
    AcquireAnswer, HandOverAnswer, HandOverRequest, LockStore, ReleaseAnswer, ReleaseRequest,
};
use golock_core::{GrantId, LockName};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::{Bson, DateTime, doc};

use crate::commands::{kinds, observed};
use crate::{LONG, name, new_grant, release, take, wanted};

pub(crate) async fn a_hand_over_is_one_command(server: Arc<Server>) {
    let (store, rows, seen) = observed(server.url(), "retryWrites=true").await;
    let name = name("passed-on");
    let (mut holder, mut last) = take(&store, &name).await;
    // A mark that is over stands in nobody's way.
    let mark = doc! { "$set": { "waitersUntil": Bson::DateTime(DateTime::from_millis(1_000)) } };
    rows.update_one(doc! { "_id": name.as_str() }, mark).await.unwrap();
    seen.lock().unwrap().clear();
    for _ in 0..3 {
        let next = new_grant();
        let answer = hand_over(&store, &name, holder, next).await;
        assert_eq!(answer.released, ReleaseAnswer::Released);
        match answer.next {
            AcquireAnswer::Granted { token, remaining, .. } => {
                assert!(token > last && remaining < LONG && remaining > LONG / 2, "{token}, {remaining:?}");
                last = token;
            }
            answer => panic!("nothing stood in the way of the next: {answer:?}"),
        }
        holder = next;
    }
    assert_eq!(kinds(&seen), ["findAndModify"; 3]);
    seen.lock().unwrap().clear();
    // Who holds nothing hands nothing over, which takes a release of its own.
    let answer = hand_over(&store, &name, new_grant(), new_grant()).await;
    let expected = ReleaseAnswer::NotYours(LostReason::Taken);
    assert_eq!(answer, HandOverAnswer::new(expected, AcquireAnswer::Raced));
    assert_eq!(kinds(&seen), ["findAndModify"; 2]);
    assert_eq!(release(&store, &name, holder).await, ReleaseAnswer::Released);
}

pub(crate) async fn the_last_token_is_handed_to_nobody(server: Arc<Server>) {
    let (store, rows, _) = observed(server.url(), "retryWrites=true").await;
    let name = name("exhausted");
    let (holder, _) = take(&store, &name).await;
    let last = doc! { "$set": { "token": i64::MAX } };
    rows.update_one(doc! { "_id": name.as_str() }, last).await.unwrap();
    let answer = hand_over(&store, &name, holder, new_grant()).await;
    assert_eq!(answer, HandOverAnswer::new(ReleaseAnswer::Released, AcquireAnswer::Raced));
    assert_eq!(store.inspect(&name).await.unwrap(), None);
    let row = rows.find_one(doc! { "_id": name.as_str() }).await.unwrap().unwrap();
    assert_eq!((row.get_i64("token").unwrap(), row.get("grant")), (i64::MAX, Some(&Bson::Null)));
}

pub(crate) async fn hand_over(
    store: &MongoStore,
    name: &LockName,
    holder: GrantId,
    next: GrantId,
) -> HandOverAnswer {
    let release = ReleaseRequest::new(name.clone(), holder, Duration::ZERO);
    store.hand_over(&HandOverRequest::new(release, wanted(name, next))).await.unwrap()
}
