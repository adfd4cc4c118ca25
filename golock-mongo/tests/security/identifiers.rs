//! Names that are more than names. A collection that nobody should touch stands by.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::security::{
    Guarded, Opening, hostile, mean_exactly_themselves, names_mean_exactly_themselves,
};
use golock_core::LockStore;
use golock_mongo::mongodb::bson::doc;
use golock_mongo::{MongoStore, MongoStoreBuilder};

use super::admin;
use super::server::{DATABASE, unique};

const NOWHERE: &str = "mongodb://root:golock-test@127.0.0.1:1/?directConnection=true";

pub(crate) async fn collections_mean_exactly_themselves_or_are_refused(server: Arc<Guarded>) {
    mean_themselves(&server, |name| MongoStore::builder().database("guarded").collection(name)).await;
}

/// Two databases whose names differ only in case are refused by MongoDB: of those only one is tried.
pub(crate) async fn databases_mean_exactly_themselves_or_are_refused(server: Arc<Guarded>) {
    mean_themselves(&server, |name| MongoStore::builder().database(name).collection("locks")).await;
}

async fn mean_themselves(server: &Guarded, builder: fn(String) -> MongoStoreBuilder) {
    let canary = admin(server).await.database("guarded").collection("canary");
    canary.insert_one(doc! { "alive": true }).await.unwrap();
    let opener = |url: Arc<str>, patience: Duration| {
        move |name: String| -> Opening {
            let url = Arc::clone(&url);
            Box::pin(async move {
                let store = builder(name).request_timeout(patience).connect(&url).await?;
                Ok(Arc::new(store) as Arc<dyn LockStore>)
            })
        }
    };
    let (here, nowhere) = (Duration::from_secs(10), Duration::from_millis(50));
    let mut names = hostile();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.to_lowercase()));
    mean_exactly_themselves(&names, opener(server.url().into(), here), opener(NOWHERE.into(), nowhere)).await;
    assert!(canary.find_one(doc! { "alive": true }).await.unwrap().is_some());
}

pub(crate) async fn names_of_locks_mean_exactly_themselves(server: Arc<Guarded>) {
    let builder = MongoStore::builder().database(DATABASE).collection(unique("names"));
    let store = builder.connect(server.url()).await.unwrap();
    names_mean_exactly_themselves(&store, &hostile()).await;
}
