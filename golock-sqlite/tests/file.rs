//! What a file does, and a server doesn't: it is locked as a whole, deleted, replaced, or was somebody else's before.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use golock_core::store::{AcquireAnswer, ListRequest, ReleaseAnswer, ReleaseRequest, RenewAnswer};
use golock_core::{LockStore, LostReason, StoreError, StoreErrorKind};
use golock_sqlite::SqliteStore;
use rusqlite::Connection;
use tokio::time::timeout;

use calls::{LONG, acquire, grant, name, refused, release, renew, taken, until};
use place::Place;

mod calls;
mod place;

#[tokio::test]
async fn refusals_and_looks_go_on_while_a_transaction_has_the_file() {
    let (place, store) = opened("looks").await;
    let held = name("held");
    let token = taken(&store, &held, grant(), LONG).await;
    let _transaction = lock_file(&place.file("locks.db"));

    assert_eq!(refused(&store, &held).await.token, token);
    assert_eq!(store.inspect(&held).await.unwrap().unwrap().token, token);
    assert_eq!(store.list(&ListRequest::new("", 10)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn blocked_writes_end_as_conflicts_and_change_nothing() {
    let place = Place::new("blocked");
    let file = place.file("locks.db");
    let store = SqliteStore::builder().request_timeout(Duration::from_millis(300)).build(&file).unwrap();
    let (held, free, id) = (name("held"), name("free"), grant());
    let token = taken(&store, &held, id, LONG).await;
    let transaction = lock_file(&file);

    let kind = |error: StoreError| error.kind();
    assert_eq!(acquire(&store, &free, grant(), LONG).await.map_err(kind), Err(StoreErrorKind::Conflict));
    assert_eq!(renew(&store, &held, id, token, LONG).await.map_err(kind), Err(StoreErrorKind::Conflict));
    assert_eq!(release(&store, &held, id).await.map_err(kind), Err(StoreErrorKind::Conflict));
    assert_eq!(store.force_unlock(&held).await.map_err(kind), Err(StoreErrorKind::Conflict));

    drop(transaction);
    assert_eq!(store.inspect(&free).await.unwrap(), None);
    assert_eq!(store.inspect(&held).await.unwrap().unwrap().token, token);
    assert_eq!(release(&store, &held, id).await.unwrap(), ReleaseAnswer::Released);
}

#[tokio::test]
async fn an_abandoned_acquire_is_finished_or_never_begun() {
    let (place, store) = opened("abandoned").await;
    let (names, id) = ([name("one"), name("other")], grant());
    let transaction = lock_file(&place.file("locks.db"));
    // One waits for the file's lock when its caller goes away, the other is behind it.
    let both =
        async { tokio::join!(acquire(&store, &names[0], id, LONG), acquire(&store, &names[1], id, LONG)) };
    assert!(timeout(Duration::from_millis(300), both).await.is_err(), "granted while the file is locked");
    drop(transaction);

    // This comes after both.
    store.revoke(&name("another")).await.unwrap();
    let mut begun = Vec::new();
    for name in &names {
        begun.extend(store.inspect(name).await.unwrap());
        // It may have been granted: then its undo finds it.
        let undone = release(&store, name, id).await.unwrap();
        assert!(matches!(undone, ReleaseAnswer::Released | ReleaseAnswer::NotYours(LostReason::RowGone)));
        assert_eq!(store.inspect(name).await.unwrap(), None);
    }
    assert!(begun.len() <= 1, "begun, although nobody asked any more: {begun:?}");
    taken(&store, &names[0], grant(), LONG).await;
}

#[tokio::test]
async fn an_acquire_that_waited_for_the_file_is_granted_its_whole_lease() {
    let (place, store) = opened("waited").await;
    let (wanted, lease) = (name("wanted"), Duration::from_secs(20));
    let transaction = lock_file(&place.file("locks.db"));
    let acquiring = tokio::spawn({
        let (store, wanted) = (Arc::clone(&store), wanted.clone());
        async move { acquire(&store, &wanted, grant(), lease).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let let_go = Instant::now();
    drop(transaction);

    let AcquireAnswer::Granted { remaining, .. } = acquiring.await.unwrap() else { panic!("it was free") };
    let info = store.inspect(&wanted).await.unwrap().unwrap();
    let since = let_go.elapsed();
    assert!(info.held_for <= since, "held for {:?}, but let go {since:?} ago", info.held_for);
    assert!(remaining <= info.remaining + since, "{remaining:?}, {since:?} later {info:?}");
}

#[tokio::test]
async fn a_lease_that_ran_out_behind_a_locked_file_is_not_revived() {
    let (place, store) = opened("ran-out").await;
    let (held, id) = (name("held"), grant());
    let token = taken(&store, &held, id, Duration::from_millis(300)).await;
    let transaction = lock_file(&place.file("locks.db"));
    let renewing = tokio::spawn({
        let (store, held) = (Arc::clone(&store), held.clone());
        async move { renew(&store, &held, id, token, LONG).await.unwrap() }
    });
    until("the lease is over", async || store.inspect(&held).await.unwrap().is_none()).await;
    drop(transaction);

    assert_eq!(renewing.await.unwrap(), RenewAnswer::Lost(LostReason::Expired));
    taken(&store, &held, grant(), LONG).await;
}

#[tokio::test]
async fn a_statement_that_never_ends_is_interrupted() {
    let place = Place::new("endless");
    let file = place.file("locks.db");
    let endless = "CREATE VIEW golock AS
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
        SELECT CAST(i AS BLOB) AS name, NULL AS grant_id, NULL AS released_grant, '-' AS lock_by, i AS token,
               0 AS locked_at, 0 AS expires_at FROM n";
    Connection::open(&file).unwrap().execute_batch(endless).unwrap();
    let store = SqliteStore::builder().request_timeout(Duration::from_millis(200)).build(&file).unwrap();
    for _ in 0..2 {
        let error = store.list(&ListRequest::new("", 10)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Timeout, "{error:?}");
    }
}

#[tokio::test]
async fn a_dropped_store_closes_its_files() {
    let (place, store) = opened("dropped").await;
    let held = name("held");
    release(&store, &held, grant()).await.unwrap();
    taken(&store, &held, grant(), LONG).await;
    let log = place.file("locks.db-wal");
    assert!(log.exists());
    drop(store);
    // The last to close the file has put all of it into the file itself.
    until("the files are closed", async || !log.exists()).await;
}

#[tokio::test]
async fn a_deleted_file_is_made_anew_and_its_holders_find_out() {
    for ends in [&["", "-wal", "-shm"][..], &[""]] {
        let (place, store) = opened("deleted").await;
        let (held, id) = (name("held"), grant());
        let old = taken(&store, &held, id, LONG).await;
        for end in ends {
            fs::remove_file(place.file(&format!("locks.db{end}"))).unwrap();
        }

        let other = SqliteStore::connect(place.file("locks.db").to_str().unwrap()).await.unwrap();
        let new = taken(&other, &held, grant(), LONG).await;
        assert!(new > old, "{new} does not follow {old}");
        let lost = renew(&store, &held, id, old, LONG).await.unwrap();
        assert_eq!(lost, RenewAnswer::Lost(LostReason::Taken));
        assert_eq!(refused(&store, &held).await.token, new, "they have two files");

        // What closes the old file leaves the new one's log alone.
        drop(store);
        let third = SqliteStore::connect(place.file("locks.db").to_str().unwrap()).await.unwrap();
        assert_eq!(refused(&third, &held).await.token, new);
        assert_eq!(refused(&other, &held).await.token, new);
    }
}

#[tokio::test]
async fn a_dropped_table_is_made_anew() {
    let (place, store) = opened("table").await;
    let held = name("held");
    let old = taken(&store, &held, grant(), LONG).await;
    Connection::open(place.file("locks.db")).unwrap().execute_batch("DROP TABLE golock").unwrap();
    assert_eq!(store.inspect(&held).await.unwrap(), None);
    assert!(taken(&store, &held, grant(), LONG).await > old);
}

#[tokio::test]
async fn a_file_of_the_applications_is_used_as_it_is() {
    let place = Place::new("foreign");
    let foreign = [
        "PRAGMA journal_mode = DELETE;",
        "PRAGMA journal_mode = PERSIST;",
        "PRAGMA encoding = 'UTF-16le';",
        "PRAGMA page_size = 512; PRAGMA auto_vacuum = FULL;",
        "PRAGMA journal_mode = WAL; PRAGMA user_version = 7; PRAGMA application_id = 9;",
    ];
    for (at, settings) in foreign.into_iter().enumerate() {
        let file = place.file(&format!("{at}.db"));
        let application = Connection::open(&file).unwrap();
        application.execute_batch(settings).unwrap();
        application.execute_batch("CREATE TABLE own (x); INSERT INTO own VALUES ('ä')").unwrap();

        let store = SqliteStore::builder().table("my \"locks\"").build(&file).unwrap();
        let (wanted, id) = (name("wanted"), grant());
        taken(&store, &wanted, id, LONG).await;
        assert_eq!(refused(&store, &wanted).await.lock_by.as_str(), "tester");
        release(&store, &wanted, id).await.unwrap();

        let own: String = application.query_row("SELECT x FROM own", [], |row| row.get(0)).unwrap();
        assert_eq!(own, "ä", "{settings}");
    }
}

#[tokio::test]
async fn the_schema_is_all_that_has_to_be_run() {
    let place = Place::new("schema");
    let file = place.file("locks.db");
    let store = SqliteStore::builder().create_table(false).build(&file).unwrap();
    assert_eq!(why(&store).await.kind(), StoreErrorKind::SchemaMissing, "there is no file");
    let nowhere = SqliteStore::builder().create_table(false).build(place.file("nowhere/locks.db")).unwrap();
    assert_eq!(why(&nowhere).await.kind(), StoreErrorKind::SchemaMissing, "nor a directory");
    for others in ["CREATE TABLE other (x)", "CREATE TABLE golock (name, x)"] {
        Connection::open(&file).unwrap().execute_batch(others).unwrap();
        assert_eq!(why(&store).await.kind(), StoreErrorKind::SchemaMissing, "there is no table of ours");
        let other = Connection::open(&file).unwrap();
        let mode = other.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
        assert_eq!(mode.unwrap(), "delete", "what is not ours is left as it was");
    }
    Connection::open(&file).unwrap().execute_batch("DROP TABLE golock").unwrap();

    Connection::open(&file).unwrap().execute_batch(&store.schema()).unwrap();
    taken(&store, &name("wanted"), grant(), LONG).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told() {
    let place = Place::new("wrong");
    fs::write(place.file("text.db"), "this is no database, and long enough to be seen as none".repeat(40))
        .unwrap();
    fs::create_dir(place.file("directory")).unwrap();
    let others = Connection::open(place.file("other.db")).unwrap();
    others.execute_batch("CREATE TABLE golock (name, x)").unwrap();
    for (file, kind, said) in [
        ("text.db", StoreErrorKind::Configuration, "not a database"),
        ("nowhere/locks.db", StoreErrorKind::Configuration, "there is no directory"),
        ("directory", StoreErrorKind::Configuration, "is a directory"),
        ("other.db", StoreErrorKind::SchemaMissing, "grant_id"),
    ] {
        let error = why(&SqliteStore::new(place.file(file)).unwrap()).await;
        assert_eq!(error.kind(), kind, "{file}: {error:?}");
        let source = error.source().unwrap().to_string();
        assert!(source.contains(said), "{file}: {source}");
    }
    assert!(!place.file("nowhere").exists());
}

/// SQLite would have other locks by each of them.
#[cfg(unix)]
#[tokio::test]
async fn a_file_with_two_names_is_refused() {
    let (place, store) = opened("linked").await;
    taken(&store, &name("job"), grant(), LONG).await;
    fs::hard_link(place.file("locks.db"), place.file("other.db")).unwrap();
    let error = why(&SqliteStore::new(place.file("other.db")).unwrap()).await;
    assert_eq!(error.kind(), StoreErrorKind::Configuration, "{error:?}");
    fs::remove_file(place.file("other.db")).unwrap();
    SqliteStore::new(place.file("locks.db")).unwrap().ready().await.unwrap();
}

async fn opened(what: &str) -> (Place, Arc<SqliteStore>) {
    let place = Place::new(what);
    let store = SqliteStore::new(place.file("locks.db")).unwrap();
    store.ready().await.unwrap();
    (place, Arc::new(store))
}

/// Has the file's write lock until it is dropped.
fn lock_file(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

async fn why(store: &SqliteStore) -> StoreError {
    let release = [ReleaseRequest::new(name("any"), grant(), Duration::ZERO)];
    store.release(&release).await.unwrap_err()
}

/// A page is what is looked at, not what is found: some of these have nothing to delete, and the last is not full.
#[tokio::test]
async fn a_purge_goes_through_a_large_table() {
    let (place, store) = opened("large").await;
    let insert = "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2499)
                  INSERT INTO golock (name, lock_by, token, locked_at, expires_at)
                  SELECT CAST(format('name %05d', n) AS BLOB), 'tester', 1, 1,
                         CASE WHEN n < 20 OR n >= 2490 THEN 1 ELSE 9000000000000000 END
                  FROM numbers";
    Connection::open(place.file("locks.db")).unwrap().execute_batch(insert).unwrap();
    assert_eq!(store.purge(LONG).await.unwrap(), 30);
    assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 0);
}
