//! A user who may do what the schema says, and no more.

use std::sync::Arc;

use golock_conformance::security::{Guarded, everything};
use golock_core::{LockStore, StoreErrorKind};
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::prelude::Queryable;

use super::{admin, unique, url, url_as};

pub(crate) async fn printed_grants_suffice_and_each_is_needed(server: Arc<Guarded>) {
    let (mut admin, table) = (admin(&server).await, unique("least"));
    let builder = MysqlStore::builder().table(&table);
    let printed = builder.clone().connect(&url(&server)).await.unwrap().schema();
    let grants: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("-- GRANT ")).collect();
    let [grant] = grants[..] else { panic!("one grant: {printed}") };
    let (kinds, on) = grant.split_once(" ON ").unwrap();
    let kinds: Vec<&str> = kinds.split(", ").collect();
    assert_eq!(kinds, ["SELECT", "INSERT", "UPDATE", "DELETE"]);

    for missing in [None].into_iter().chain(kinds.iter().copied().map(Some)) {
        let user = unique("service");
        let granted: Vec<&str> = kinds.iter().copied().filter(|kind| Some(*kind) != missing).collect();
        admin.query_drop(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")).await.unwrap();
        let grant = format!("GRANT {} ON {}", granted.join(", "), on.replace("the_service", &user));
        admin.query_drop(grant).await.unwrap();
        let done = match builder.clone().connect(&url_as(&server, &user, "secret")).await {
            Ok(store) => everything(&store).await,
            Err(error) => Err(error),
        };
        match missing {
            None => {
                done.unwrap();
                let url = url_as(&server, &user, "secret");
                let another = builder.clone().table("another").connect(&url).await.expect_err("no privilege");
                assert_eq!(another.kind(), StoreErrorKind::Permission, "{another:?}");
            }
            Some(missing) => {
                let error = done.expect_err(missing);
                assert_eq!(error.kind(), StoreErrorKind::Permission, "without {missing}: {error:?}");
                admin.query_drop(format!("TRUNCATE {table}")).await.unwrap();
            }
        }
    }
}
