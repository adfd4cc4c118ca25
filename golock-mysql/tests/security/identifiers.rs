//! Names that are more than names. A table that nobody should touch stands by.

use std::sync::Arc;

use golock_conformance::security::{
    Guarded, Opening, hostile, mean_exactly_themselves, names_mean_exactly_themselves,
};
use golock_core::LockStore;
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;
use tokio::sync::Mutex;

use super::{admin, unique, url};

const NOWHERE: &str = "mysql://root:golock-test@127.0.0.1:1/guarded";

/// Also what is printed for an administrator is run.
pub(crate) async fn tables_mean_exactly_themselves_or_are_refused(server: Arc<Guarded>) {
    let mut session = admin(&server).await;
    session.query_drop("CREATE TABLE canary (alive int)").await.unwrap();
    let session = Arc::new(Mutex::new(session));
    let opener = |url: String| {
        let session = Arc::clone(&session);
        move |table: String| -> Opening {
            let (url, session) = (url.clone(), Arc::clone(&session));
            Box::pin(async move {
                let store = MysqlStore::builder().table(&table).connect(&url).await?;
                let run = session.lock().await.query_drop(store.schema()).await;
                run.unwrap_or_else(|error| panic!("{table:?}: {error}"));
                Ok(Arc::new(store) as Arc<dyn LockStore>)
            })
        }
    };
    mean_exactly_themselves(&hostile(), opener(url(&server)), opener(NOWHERE.to_owned())).await;
    session.lock().await.query_drop("SELECT alive FROM canary").await.unwrap();
}

/// A database is not created by a store, but by what it prints.
pub(crate) async fn databases_mean_exactly_themselves_or_are_refused(server: Arc<Guarded>) {
    let session = Arc::new(Mutex::new(admin(&server).await));
    let opener = |url: String| {
        let session = Arc::clone(&session);
        move |database: String| -> Opening {
            let (url, session) = (url.clone(), Arc::clone(&session));
            Box::pin(async move {
                let opts = golock_mysql::mysql_async::Opts::from_url(&url).unwrap();
                let store = MysqlStore::builder().database(&database).table("locks").build(opts)?;
                if url != NOWHERE {
                    let run = session.lock().await.query_drop(store.schema()).await;
                    run.unwrap_or_else(|error| panic!("{database:?}: {error}"));
                }
                store.ready().await?;
                Ok(Arc::new(store) as Arc<dyn LockStore>)
            })
        }
    };
    mean_exactly_themselves(&hostile(), opener(url(&server)), opener(NOWHERE.to_owned())).await;
}

pub(crate) async fn names_of_locks_mean_exactly_themselves(server: Arc<Guarded>) {
    drop(admin(&server).await);
    let store = MysqlStore::builder().table(unique("names")).connect(&url(&server)).await.unwrap();
    names_mean_exactly_themselves(&store, &hostile()).await;
}
