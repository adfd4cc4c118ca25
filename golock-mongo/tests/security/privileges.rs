//! A user who may do what the schema says, and no more: as far as the server looks at it.

use std::sync::Arc;

use futures_util::StreamExt;
use golock_conformance::security::{Guarded, everything};
use golock_conformance::servers::url_as;
use golock_core::store::Wakeup;
use golock_core::{LockStore, StoreErrorKind};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::doc;

use super::admin;
use super::server::{DATABASE, unique};

pub(crate) async fn printed_actions_suffice_and_each_is_needed(server: Arc<Guarded>) {
    let (admin, collection) = (admin(&server).await, unique("least"));
    let builder = MongoStore::builder().database(DATABASE).collection(&collection);
    let printed = builder.clone().connect(server.url()).await.unwrap().schema();
    let (_, actions) = printed.split_once("actions: [").unwrap();
    let (actions, _) = actions.split_once(']').unwrap();
    let actions: Vec<&str> = actions.split(", ").map(|action| action.trim_matches('"')).collect();
    assert_eq!(actions, ["find", "insert", "update", "remove", "changeStream"]);

    for missing in [None].into_iter().chain(actions.iter().copied().map(Some)) {
        let user = unique("service");
        let granted: Vec<&str> = actions.iter().copied().filter(|action| Some(*action) != missing).collect();
        let privilege =
            doc! { "resource": { "db": DATABASE, "collection": &collection }, "actions": granted };
        let role = doc! { "createRole": &user, "privileges": [privilege], "roles": [] };
        admin.database(DATABASE).run_command(role).await.unwrap();
        let create =
            doc! { "createUser": &user, "pwd": "secret", "roles": [{ "role": &user, "db": DATABASE }] };
        admin.database("admin").run_command(create).await.unwrap();
        let store = builder.clone().connect(&url_as(server.url(), &user, "secret")).await.unwrap();
        let done = everything(&store).await;
        match missing {
            None => {
                done.unwrap();
                assert_eq!(store.wakeups().unwrap().next().await, Some(Wakeup::Listening));
                let another = builder.clone().collection(unique("another"));
                let another = another.connect(&url_as(server.url(), &user, "secret")).await.unwrap();
                let error = everything(&another).await.unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::Permission, "{error:?}");
            }
            // Waiting works without it, and polls.
            Some("changeStream") => done.unwrap(),
            Some(missing) => {
                let error = done.expect_err(missing);
                assert_eq!(error.kind(), StoreErrorKind::Permission, "without {missing}: {error:?}");
                let rows =
                    admin.database(DATABASE).collection::<golock_mongo::mongodb::bson::Document>(&collection);
                rows.delete_many(doc! {}).await.unwrap();
            }
        }
    }
}
