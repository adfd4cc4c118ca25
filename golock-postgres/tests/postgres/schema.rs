//! Tables, schemas and databases: missing, made by many at once, oddly named, of another encoding.

use std::sync::Arc;

use golock_conformance::servers::{Server, url_as};
use golock_core::store::{LockStore, MarkRequest, ReleaseAnswer, Wakeup};
use golock_core::{LockName, StoreErrorKind};
use golock_postgres::PostgresStore;

use crate::server::{LONG, grant, name, release, session, take, unique, url_of, wanted};
use crate::{next, said};

pub(crate) async fn missing_table_is_told_and_found_when_it_is_there(server: Arc<Server>) {
    let url = server.url();
    let (admin, table) = (session(url).await, unique("later"));
    let builder = PostgresStore::builder().table(&table).create_table(false);
    let missing = builder.clone().connect(url).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::SchemaMissing, "{}", said(&missing));
    let store = builder.connect_lazy(url).unwrap();
    let name = name("lock");
    let missing = store.acquire(&[wanted(&name, grant(), "early")]).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::SchemaMissing, "{}", said(&missing));
    assert!(said(&missing).contains(&table), "{}", said(&missing));

    admin.batch_execute(&store.schema()).await.unwrap();
    let (_, token) = take(&store, &name, "in time").await;
    // Made anew, with the statements prepared for the old one.
    admin.batch_execute(&format!("DROP TABLE {table}; {}", store.schema())).await.unwrap();
    assert!(take(&store, &name, "after").await.1 > token);
    admin.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
}

pub(crate) async fn dropped_table_is_made_anew(server: Arc<Server>) {
    let (admin, schema) = (session(server.url()).await, unique("dropped"));
    let store = PostgresStore::builder().schema(&schema).connect(server.url()).await.unwrap();
    let name = name("lock");
    let (_, token) = take(&store, &name, "before").await;
    for drop in ["DROP TABLE {schema}.golock", "DROP SCHEMA {schema} CASCADE"] {
        admin.batch_execute(&drop.replace("{schema}", &schema)).await.unwrap();
        assert_eq!(store.inspect(&name).await.unwrap(), None);
        assert!(take(&store, &name, drop).await.1 > token);
    }
    admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

/// Not that the table can't be created, which is there.
pub(crate) async fn what_a_trigger_misses_is_told(server: Arc<Server>) {
    let (admin, table, role) = (session(server.url()).await, unique("audited"), unique("service"));
    PostgresStore::builder().table(&table).connect(server.url()).await.unwrap();
    let audit = format!(
        "CREATE FUNCTION {table}_audit() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO {table}_log VALUES (NEW.name); RETURN NEW; END $$;
         CREATE TRIGGER audit AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_audit();
         CREATE ROLE {role} LOGIN PASSWORD 'secret';
         GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}"
    );
    admin.batch_execute(&audit).await.unwrap();
    let url = url_as(server.url(), &role, "secret");
    let store = PostgresStore::builder().table(&table).connect(&url).await.unwrap();
    let error = store.acquire(&[wanted(&name("lock"), grant(), "tester")]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::SchemaMissing, "{}", said(&error));
    assert!(said(&error).contains(&format!("{table}_log")), "{}", said(&error));
    let drop = format!("DROP TABLE {table}; DROP FUNCTION {table}_audit; DROP ROLE {role}");
    admin.batch_execute(&drop).await.unwrap();
}

pub(crate) async fn schema_is_created_with_its_table_by_many_at_once(server: Arc<Server>) {
    let url = server.url();
    let (admin, schema) = (session(url).await, unique("shared"));
    let creating: Vec<_> = (0..12)
        .map(|at| {
            let builder = PostgresStore::builder().schema(&schema).table(format!("locks_{}", at % 3));
            let url = url.to_owned();
            tokio::spawn(async move { builder.connect(&url).await })
        })
        .collect();
    for created in creating {
        let store = created.await.unwrap().unwrap_or_else(|error| panic!("{}", said(&error)));
        take(&store, &name("lock"), "tester").await;
    }
    admin.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

pub(crate) async fn names_of_schema_and_table_are_quoted(server: Arc<Server>) {
    let url = server.url();
    let (admin, schema) = (session(url).await, format!("My \"{}\" schema", unique("own")));
    let store = PostgresStore::builder().schema(&schema).table("Lo'ck\"s; --").connect(url).await.unwrap();
    let name = name("lock");
    let (grant, _) = take(&store, &name, "tester").await;
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(next(&mut wakeups).await, Some(Wakeup::Listening));
    store.mark_waiting(&[MarkRequest::new(name.clone(), LONG)]).await.unwrap();
    assert_eq!(release(&store, &name, grant).await, ReleaseAnswer::Released);
    assert_eq!(next(&mut wakeups).await, Some(Wakeup::Freed(name)));
    admin.batch_execute(&store.schema()).await.unwrap();
    admin.batch_execute(&format!("DROP SCHEMA \"{}\" CASCADE", schema.replace('"', "\"\""))).await.unwrap();
}

pub(crate) async fn database_of_another_encoding_keeps_names_and_labels(server: Arc<Server>) {
    let url = server.url();
    let (admin, database) = (session(url).await, unique("latin"));
    let sql = format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    admin.batch_execute(&sql).await.unwrap();
    let store = PostgresStore::connect(&url_of(url, &database)).await.unwrap();
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(next(&mut wakeups).await, Some(Wakeup::Listening));

    let (name, label) = (LockName::new("Zürich/東京/🔒").unwrap(), "wörker-東京-🔑");
    let (grant, _) = take(&store, &name, label).await;
    let seen = store.inspect(&name).await.unwrap().unwrap();
    assert_eq!((seen.name, seen.lock_by.as_str()), (name.clone(), label));
    store.mark_waiting(&[MarkRequest::new(name.clone(), LONG)]).await.unwrap();
    assert_eq!(release(&store, &name, grant).await, ReleaseAnswer::Released);
    assert_eq!(next(&mut wakeups).await, Some(Wakeup::Freed(name)));

    drop((store, wakeups));
    admin.batch_execute(&format!("DROP DATABASE {database} WITH (FORCE)")).await.unwrap();
}
