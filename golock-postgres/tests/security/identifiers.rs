//! Names that are more than names. A table that nobody should touch stands by.

use std::sync::Arc;

use golock_conformance::security::{
    Guarded, everything, hostile, mean_exactly_themselves, names_mean_exactly_themselves,
};
use golock_core::{LockStore, StoreError};
use golock_postgres::{PostgresStore, PostgresStoreBuilder};

use super::{admin, unique, url_as};

const NOWHERE: &str = "postgres://postgres:golock-test@127.0.0.1:1/postgres";

pub(crate) async fn tables_mean_exactly_themselves_or_are_refused(server: Arc<Guarded>) {
    mean_themselves(&server, |name| PostgresStore::builder().schema("tables").table(name)).await;
}

pub(crate) async fn schemas_mean_exactly_themselves_or_are_refused(server: Arc<Guarded>) {
    mean_themselves(&server, |name| PostgresStore::builder().schema(name).table("locks")).await;
}

/// Also what is printed for an administrator is run.
async fn mean_themselves(server: &Guarded, builder: fn(String) -> PostgresStoreBuilder) {
    let (admin, url) = (Arc::new(admin(server).await), Arc::<str>::from(server.url()));
    // Before all, so that not every store has to; two tests that do it at once may collide, and then it is there.
    for create in ["TABLE IF NOT EXISTS canary (alive int)", "SCHEMA IF NOT EXISTS tables"] {
        let _ = admin.batch_execute(&format!("CREATE {create}")).await;
    }
    let opener = |url: Arc<str>| {
        let admin = Arc::clone(&admin);
        move |name: String| -> golock_conformance::security::Opening {
            let (url, admin) = (Arc::clone(&url), Arc::clone(&admin));
            Box::pin(async move {
                let store = builder(name.clone()).connect(&url).await?;
                admin
                    .batch_execute(&store.schema())
                    .await
                    .unwrap_or_else(|error| panic!("{name:?}: {error:?}"));
                Ok(Arc::new(store) as Arc<dyn LockStore>)
            })
        }
    };
    mean_exactly_themselves(&hostile(), opener(url), opener(NOWHERE.into())).await;
    admin.batch_execute("SELECT alive FROM canary").await.unwrap();
}

pub(crate) async fn names_of_locks_mean_exactly_themselves(server: Arc<Guarded>) {
    let store = PostgresStore::builder().table(unique("names")).connect(server.url()).await.unwrap();
    names_mean_exactly_themselves(&store, &hostile()).await;
}

pub(crate) async fn backslashes_escape_nothing_whatever_the_role_has_set(server: Arc<Guarded>) {
    let (admin, role) = (admin(&server).await, unique("escaping"));
    let sql = format!(
        "CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'secret';
         ALTER ROLE {role} SET standard_conforming_strings = off; ALTER ROLE {role} SET backslash_quote = on"
    );
    admin.batch_execute(&sql).await.unwrap();
    for table in ["back\\slash", "quoted\\'); DROP TABLE canary; --", "at the end\\"] {
        let open = PostgresStore::builder().table(table).connect(&url_as(&server, &role, "secret")).await;
        let done: Result<(), StoreError> = match open {
            Ok(store) => everything(&store).await,
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| panic!("{table:?}: {error:?}"));
    }
}
