//! Stores of which nothing is opened before their first call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use golock_conformance::proxy::{Direction, Proxy};
use golock_conformance::servers::{Server, url_at};
use golock_core::store::LockStore;
use golock_core::{LockName, LockOptions, Locker, StoreErrorKind};
use golock_mongo::mongodb::bson::{Document, doc};
use golock_mongo::{MongoStore, MongoStoreBuilder};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::meddler::{Fate, meddler};
use crate::server::{DATABASE, unique};
use crate::{LONG, name, new_grant, said, take, wanted};

fn builder() -> MongoStoreBuilder {
    MongoStore::builder().database(DATABASE).collection(unique("lazy"))
}

/// The question of golock, and not the driver's own.
fn is_first_look(command: &Document) -> bool {
    command.contains_key("hello") && command.get_str("$db").ok() == Some(DATABASE)
}

pub(crate) async fn a_lazy_store_looks_at_its_server_once_for_all_callers(server: Arc<Server>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let meddler = meddler(server.url(), move |command| {
        // At first it is a secondary.
        match is_first_look(command) && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            true => Fate::Amended(doc! { "isWritablePrimary": false }),
            false => Fate::Pass,
        }
    });
    let meddler = meddler.await;
    let store = builder().connect_lazy(&url_at(server.url(), meddler.address)).unwrap();
    assert_eq!(looks.load(Ordering::SeqCst), 0);
    let error = store.acquire(&[wanted(&name("early"), new_grant())]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", said(&error));
    assert!(error.took_no_effect(), "nothing was sent");

    let names: Vec<LockName> = (0..20).map(|at| name(&format!("first-{at}"))).collect();
    join_all(names.iter().map(|name| take(&store, name))).await;
    store.ready().await.unwrap();
    assert_eq!(looks.load(Ordering::SeqCst), 2);
    assert!(store.capabilities().wakeups && store.wakeups().is_some());
}

pub(crate) async fn a_first_call_that_is_given_up_is_made_up_for_by_the_next(server: Arc<Server>) {
    let proxy = Proxy::start(server.address()).await.unwrap();
    proxy.hold(Direction::ToClient);
    let store = builder().connect_lazy(&url_at(server.url(), proxy.address())).unwrap();
    assert_eq!(proxy.connections(), 0);
    tokio::select! {
        opened = store.ready() => panic!("nothing has answered yet: {opened:?}"),
        () = proxy.held(Direction::ToClient) => {}
    }
    proxy.let_go(Direction::ToClient);
    take(&store, &name("next")).await;
}

pub(crate) async fn a_lazy_store_that_finds_no_change_streams_polls(server: Arc<Server>) {
    let asked = Arc::new(watch::Sender::new(0));
    let counted = Arc::clone(&asked);
    let alone = meddler(server.url(), move |command| {
        if command.contains_key("findAndModify") {
            counted.send_modify(|asked| *asked += 1);
        }
        match is_first_look(command) {
            true => Fate::Answered(doc! { "isWritablePrimary": true, "ok": 1.0 }),
            false => Fate::Pass,
        }
    });
    let alone = alone.await;
    let store = builder().connect_lazy(&url_at(server.url(), alone.address)).unwrap();
    assert!(store.capabilities().wakeups, "it is not known yet");
    let builder = builder();
    let [one, other] =
        [(); 2].map(|()| builder.clone().connect_lazy(&url_at(server.url(), alone.address)).unwrap());
    let (one, other) = (Locker::new(one), Locker::new(other));
    let held = one.try_lock(LockOptions::new("job")).await.unwrap();
    let (waited, unlocked) = tokio::join!(timeout(LONG, other.lock(LockOptions::new("job"))), async {
        // For the holder once, and for who waits again and again.
        asked.subscribe().wait_for(|asked| *asked >= 4).await.unwrap();
        held.unlock().await
    });
    unlocked.unwrap();
    waited.unwrap().unwrap().unlock().await.unwrap();
    store.ready().await.unwrap();
    assert!(!store.capabilities().wakeups && store.wakeups().is_none());
}
