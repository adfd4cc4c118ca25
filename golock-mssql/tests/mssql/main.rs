//! What the suite of golock-conformance can't know: the ways of SQL Server, on the server that the suite runs on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

#[path = "../server/mod.rs"]
mod server;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use golock_conformance::BoxError;
use golock_conformance::security::everything;
use golock_conformance::servers::{self, Changes, Server, tests, unique, url_as};
use golock_core::{LockStore, StoreErrorKind};
use golock_mssql::MssqlStore;

fn main() -> ExitCode {
    let answers = async |url: String| -> Result<(), BoxError> { server::session(&url).await.map(drop) };
    let opening = Server::open("mssql", Changes::default(), answers);
    servers::main(vec![("mssql", opening)], 1, &tests![printed_grants_suffice_and_each_is_needed])
}

async fn printed_grants_suffice_and_each_is_needed(server: Arc<Server>) {
    const PASSWORD: &str = "Rosebud-1941";
    let (mut admin, table) = (server::session(server.url()).await.unwrap(), unique("least"));
    let builder = MssqlStore::builder().table(&table);
    let printed = builder.clone().connect(server.url()).await.unwrap().schema();
    let grant = printed.lines().find_map(|line| line.strip_prefix("-- GRANT ")).unwrap();
    let (kinds, on) = grant.split_once(" ON ").unwrap();
    let kinds: Vec<&str> = kinds.split(", ").collect();
    assert_eq!(kinds, ["SELECT", "INSERT", "UPDATE", "DELETE"]);

    let mut users = Vec::new();
    for missing in [None].into_iter().chain(kinds.iter().copied().map(Some)) {
        let user = unique("service");
        let granted: Vec<&str> = kinds.iter().copied().filter(|kind| Some(*kind) != missing).collect();
        for sql in [
            format!("CREATE LOGIN {user} WITH PASSWORD = '{PASSWORD}'"),
            format!("CREATE USER {user} FOR LOGIN {user}"),
            format!("GRANT {} ON {}", granted.join(", "), on.replace("[the_service]", &user)),
        ] {
            server::run(&mut admin, &sql).await.unwrap();
        }
        // A user who may create nothing.
        let done = match builder.clone().connect(&url_as(server.url(), &user, PASSWORD)).await {
            Ok(store) => everything(&store).await,
            Err(error) => Err(error),
        };
        match missing {
            None => done.unwrap(),
            Some(missing) => {
                let error = done.expect_err(missing);
                // Babelfish has no number for it, only PostgreSQL's words.
                let in_words =
                    error.source().is_some_and(|said| said.to_string().contains("permission denied"));
                assert!(
                    error.kind() == StoreErrorKind::Permission || in_words,
                    "without {missing}: {error:?}"
                );
                server::run(&mut admin, &format!("TRUNCATE TABLE dbo.{table}")).await.unwrap();
            }
        }
        users.push(user);
    }
    server::run(&mut admin, &format!("DROP TABLE dbo.{table}")).await.unwrap();
    for user in users {
        for sql in [format!("DROP USER {user}"), format!("DROP LOGIN {user}")] {
            server::run(&mut admin, &sql).await.unwrap();
        }
    }
}
