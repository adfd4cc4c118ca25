//! What golock sends: every command bounded, none that changes nothing, no connection that stays.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use golock_conformance::servers::Server;
use golock_core::LostReason;
use golock_core::store::{
    AcquireAnswer, HandOverAnswer, LockStore, ReleaseAnswer, RenewAnswer, RenewRequest, Wakeup,
};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::{Bson, Document, doc};
use golock_mongo::mongodb::event::EventHandler;
use golock_mongo::mongodb::event::command::CommandEvent;
use golock_mongo::mongodb::options::ClientOptions;
use golock_mongo::mongodb::{Client, Collection};
use tokio::time::{sleep, timeout};

use crate::handing::hand_over;
use crate::server::{DATABASE, unique, url_with};
use crate::{LONG, acquire, everything, name, new_grant, release, rows, store_and_rows, take};

pub(crate) async fn every_command_is_bounded_and_asks_for_the_majority(server: Arc<Server>) {
    let url = server.url();
    let hostile =
        "w=1&journal=false&readConcernLevel=local&readPreference=secondaryPreferred&retryWrites=true";
    let (store, _, seen) = observed(url, hostile).await;
    everything(&store).await;

    let mut kinds = Vec::new();
    let seen = seen.lock().unwrap();
    for (at, command) in seen.iter().enumerate() {
        let kind = command.keys().next().unwrap().as_str();
        kinds.push(kind.to_owned());
        if kind == "hello" {
            continue;
        }
        // Renewals of many leave time to do each by itself, and what looks lost among them is asked for in the time that is left.
        let limit = command.get_i64("maxTimeMS").unwrap();
        let may_be_of_many = matches!(kind, "update" | "findAndModify");
        assert!(limit == 3000 || (may_be_of_many && limit == 1500), "{command}");
        match kind {
            "find" => {
                // What follows is on condition that it is still as it was seen.
                let next = seen.get(at + 1).and_then(|next| next.get_document("query").ok());
                let level =
                    if next.is_some_and(|query| query.contains_key("token")) { "local" } else { "majority" };
                assert_eq!(
                    command.get_document("readConcern").unwrap(),
                    &doc! { "level": level },
                    "{command}"
                );
            }
            _ => assert_eq!(
                command.get_document("writeConcern").unwrap(),
                &doc! { "w": "majority", "j": true, "wtimeout": limit },
                "{command}"
            ),
        }
        assert!(!command.contains_key("txnNumber"), "the driver may send it twice: {command}");
        let preference = command.get_document("$readPreference").ok().map(|it| it.get_str("mode").unwrap());
        // To a single server a driver says that it will do, whatever it is.
        assert!(matches!(preference, None | Some("primary" | "primaryPreferred")), "{command}");
    }
    for kind in ["findAndModify", "update", "delete", "find"] {
        assert!(kinds.iter().any(|seen| seen == kind), "no {kind} among {kinds:?}");
    }
}

/// A store of this URL, with these options besides, its rows, and the commands that it sends from then on.
pub(crate) async fn observed(url: &str, options: &str) -> (MongoStore, Collection<Document>, Commands) {
    let mut options = ClientOptions::parse(url_with(url, options)).await.unwrap();
    let seen: Commands = Arc::default();
    let log = Arc::clone(&seen);
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(command) = event {
            log.lock().unwrap().push(command.command);
        }
    }));
    let collection = unique("observed");
    let builder = MongoStore::builder().database(DATABASE).collection(&collection);
    let store = builder.request_timeout(Duration::from_secs(3)).build(options).await.unwrap();
    (store, rows(url, &collection).await, seen)
}

pub(crate) type Commands = Arc<Mutex<Vec<Document>>>;

pub(crate) fn kinds(seen: &Commands) -> Vec<String> {
    seen.lock().unwrap().iter().map(|command| command.keys().next().unwrap().clone()).collect()
}

pub(crate) async fn what_is_refused_is_not_written(server: Arc<Server>) {
    let url = server.url();
    let (store, rows) = store_and_rows(url).await;
    let (held, given_back) = (name("held"), name("given-back"));
    let (grant, token) = take(&store, &held).await;
    let (late, _) = take(&store, &given_back).await;
    release(&store, &given_back, late).await;

    let mut changes = rows.watch().await.unwrap();
    for _ in 0..3 {
        assert!(matches!(acquire(&store, &held, new_grant()).await, AcquireAnswer::Held(_)));
        assert_eq!(acquire(&store, &given_back, late).await, AcquireAnswer::Raced);
        assert_eq!(release(&store, &given_back, late).await, ReleaseAnswer::AlreadyReleased);
        let shorter = RenewRequest::new(held.clone(), grant, token, Duration::from_secs(1));
        assert!(matches!(
            store.renew(std::slice::from_ref(&shorter)).await.unwrap()[..],
            [RenewAnswer::Renewed { .. }]
        ));
        let stranger = RenewRequest::new(held.clone(), new_grant(), token, LONG);
        assert_eq!(store.renew(&[stranger]).await.unwrap(), [RenewAnswer::Lost(LostReason::Taken)]);
        let over = RenewRequest::new(given_back.clone(), late, token, LONG);
        let many = store.renew(&[over, shorter]).await.unwrap();
        assert!(matches!(many[..], [RenewAnswer::Lost(LostReason::Revoked), RenewAnswer::Renewed { .. }]));
        let passed_on = hand_over(&store, &given_back, late, new_grant()).await;
        assert_eq!(passed_on, HandOverAnswer::new(ReleaseAnswer::AlreadyReleased, AcquireAnswer::Raced));
        assert_eq!(store.revoke(&given_back).await.unwrap(), None);
    }
    rows.insert_one(doc! { "_id": "mark" }).await.unwrap();
    let first = timeout(LONG, changes.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.document_key.unwrap(), doc! { "_id": "mark" }, "{:?}", first.update_description);
}

pub(crate) async fn a_store_that_is_dropped_leaves_no_connection(server: Arc<Server>) {
    let url = server.url();
    let witness = Client::with_uri_str(url).await.unwrap();
    let connections = async || {
        let status = witness.database("admin").run_command(doc! { "serverStatus": 1 }).await.unwrap();
        match status.get_document("connections").unwrap().get("current").unwrap() {
            Bson::Int32(current) => i64::from(*current),
            Bson::Int64(current) => *current,
            current => panic!("{current}"),
        }
    };
    let mut stores = Vec::new();
    for _ in 0..20 {
        let store =
            MongoStore::builder().database(DATABASE).collection("dropped").connect(url).await.unwrap();
        take(&store, &name("lock")).await;
        let mut wakeups = store.wakeups().unwrap();
        assert_eq!(timeout(LONG, wakeups.next()).await.unwrap(), Some(Wakeup::Listening));
        // Given up while it waits, as are calls that take too long.
        let _ = timeout(Duration::from_millis(10), wakeups.next()).await;
        stores.push(store);
    }
    let most = connections().await;
    drop(stores);
    // Other tests come and go meanwhile; each store had two connections and more.
    while connections().await > most - 40 {
        sleep(Duration::from_millis(50)).await;
    }
}
