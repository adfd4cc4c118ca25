//! A role that may do what the schema says, and no more.

use std::sync::Arc;

use golock_conformance::security::{Guarded, everything};
use golock_core::{LockStore, StoreErrorKind};
use golock_postgres::PostgresStore;

use super::{admin, unique, url_as};

pub(crate) async fn printed_grants_suffice_and_each_is_needed(server: Arc<Guarded>) {
    let (admin, schema) = (admin(&server).await, unique("least"));
    let builder = PostgresStore::builder().schema(&schema).table("locks");
    let printed = builder.clone().connect(server.url()).await.unwrap().schema();
    let grants: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("-- GRANT ")).collect();
    let kinds: Vec<&str> =
        grants.iter().flat_map(|grant| grant.split_once(" ON ").unwrap().0.split(", ")).collect();
    assert_eq!(kinds, ["USAGE", "SELECT", "INSERT", "UPDATE", "DELETE"]);

    for missing in [None].into_iter().chain(kinds.into_iter().map(Some)) {
        let role = unique("service");
        let mut sql = format!("CREATE ROLE {role} LOGIN PASSWORD 'secret';");
        for grant in &grants {
            let (kinds, on) = grant.split_once(" ON ").unwrap();
            let kinds: Vec<&str> = kinds.split(", ").filter(|kind| Some(*kind) != missing).collect();
            if !kinds.is_empty() {
                sql += &format!("GRANT {} ON {};", kinds.join(", "), on.replace("the_service;", &role));
            }
        }
        admin.batch_execute(&sql).await.unwrap();
        // A role that may create nothing.
        let store = builder.clone().connect(&url_as(&server, &role, "secret")).await;
        let done = match store {
            Ok(store) => everything(&store).await,
            Err(error) => Err(error),
        };
        match missing {
            None => {
                done.unwrap();
                let url = url_as(&server, &role, "secret");
                let another = builder.clone().table("another").connect(&url).await.unwrap_err();
                assert_eq!(another.kind(), StoreErrorKind::Permission, "{another:?}");
            }
            Some(missing) => {
                let error = done.expect_err(missing);
                assert_eq!(error.kind(), StoreErrorKind::Permission, "without {missing}: {error:?}");
                admin.batch_execute(&format!("TRUNCATE {schema}.locks")).await.unwrap();
            }
        }
    }
}
