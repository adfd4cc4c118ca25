//! What the suite of golock-conformance can't know: the ways of MongoDB, and of servers that are only like it.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use golock_core::store::{
    AcquireAnswer, AcquireRequest, ListRequest, LockStore, MarkRequest, ReleaseAnswer, ReleaseRequest,
    RenewAnswer, RenewRequest, StoreError, Wakeup,
};
use golock_core::{FencingToken, GrantId, Label, LockName, LockOptions, Locker, LostReason, StoreErrorKind};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::{Bson, Document, doc};
use golock_mongo::mongodb::event::EventHandler;
use golock_mongo::mongodb::event::command::CommandEvent;
use golock_mongo::mongodb::options::ClientOptions;
use golock_mongo::mongodb::{Client, Collection};
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use server::meddler::{Fate, Meddler, error};
use server::running::{Running, required};
use server::{DATABASE, unique, url_at};

mod server;

const LONG: Duration = Duration::from_secs(60);

macro_rules! trials {
    ($runtime:expr, $url:expr, $($test:ident),+ $(,)?) => {
        vec![$({
            let (runtime, url) = ($runtime.handle().clone(), $url.clone());
            Trial::ignorable_test(stringify!($test), move || match url {
                Ok(url) => match runtime.block_on(async { timeout(LONG * 2, $test(&url)).await }) {
                    Ok(()) => Ok(Completion::Completed),
                    Err(_) => Err("did not end".into()),
                },
                Err(why) if required() => Err(why.into()),
                Err(why) => Ok(Completion::ignored_with(why)),
            })
        }),+]
    };
}

fn main() -> ExitCode {
    let runtime = Runtime::new().unwrap();
    let arguments = Arguments::from_args();
    let running =
        if arguments.list { Err("only listed".to_owned()) } else { runtime.block_on(Running::find()) };
    let url = running.as_ref().map(|running| running.url.clone()).map_err(Clone::clone);
    let trials = trials![
        runtime,
        url,
        every_command_is_bounded_and_asks_for_the_majority,
        what_is_refused_is_not_written,
        an_unacknowledged_write_is_unknown_and_undone,
        servers_that_refuse_upserts_are_served_in_two_steps,
        upserts_that_collide_are_tried_again,
        one_locked_row_keeps_no_other_lease_waiting,
        names_that_a_collation_merges_are_refused_by_it,
        rows_of_others_are_told_or_passed_over,
        more_locks_than_a_batch_holds_are_listed,
        end_of_lock_at_least_is_told_to_those_who_wait,
        a_store_that_is_dropped_leaves_no_connection,
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Ok(running) = running {
        runtime.block_on(running.remove());
    }
    conclusion.exit_code()
}

async fn every_command_is_bounded_and_asks_for_the_majority(url: &str) {
    let hostile =
        "w=1&journal=false&readConcernLevel=local&readPreference=secondaryPreferred&retryWrites=true";
    let mut options = ClientOptions::parse(server::url_with(url, hostile)).await.unwrap();
    let seen: Arc<Mutex<Vec<Document>>> = Arc::default();
    let log = Arc::clone(&seen);
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(command) = event {
            log.lock().unwrap().push(command.command);
        }
    }));
    let builder = MongoStore::builder().database(DATABASE).collection(unique("observed"));
    let store = builder.request_timeout(Duration::from_secs(3)).build(options).await.unwrap();
    everything(&store).await;

    let mut kinds = Vec::new();
    for command in seen.lock().unwrap().iter() {
        let kind = command.keys().next().unwrap().as_str();
        kinds.push(kind.to_owned());
        match kind {
            "hello" => continue,
            "find" => assert_eq!(command.get_document("readConcern").unwrap(), &doc! { "level": "majority" }),
            _ => assert_eq!(
                command.get_document("writeConcern").unwrap(),
                &doc! { "w": "majority", "j": true, "wtimeout": 3000_i64 },
                "{command}"
            ),
        }
        assert_eq!(command.get_i64("maxTimeMS").unwrap(), 3000, "{command}");
        assert!(!command.contains_key("txnNumber"), "the driver may send it twice: {command}");
        let preference = command.get_document("$readPreference").ok().map(|it| it.get_str("mode").unwrap());
        // To a single server a driver says that it will do, whatever it is.
        assert!(matches!(preference, None | Some("primary" | "primaryPreferred")), "{command}");
    }
    for kind in ["findAndModify", "update", "delete", "find"] {
        assert!(kinds.iter().any(|seen| seen == kind), "no {kind} among {kinds:?}");
    }
}

async fn what_is_refused_is_not_written(url: &str) {
    let (store, rows) = store_and_rows(url).await;
    let (held, given_back) = (name("held"), name("given-back"));
    let (grant, token) = take(&store, &held).await;
    let (late, _) = take(&store, &given_back).await;
    release(&store, &given_back, late).await;

    let mut changes = rows.watch().await.unwrap();
    for _ in 0..3 {
        assert!(matches!(acquire(&store, &held, new_grant()).await, AcquireAnswer::Held(_)));
        assert_eq!(acquire(&store, &given_back, late).await, AcquireAnswer::Raced);
        assert_eq!(release(&store, &given_back, late).await, ReleaseAnswer::AlreadyReleased);
        let shorter = RenewRequest::new(held.clone(), grant, token, Duration::from_secs(1));
        assert!(matches!(store.renew(&[shorter]).await.unwrap()[..], [RenewAnswer::Renewed { .. }]));
        let stranger = RenewRequest::new(held.clone(), new_grant(), token, LONG);
        assert_eq!(store.renew(&[stranger]).await.unwrap(), [RenewAnswer::Lost(LostReason::Taken)]);
        assert_eq!(store.revoke(&given_back).await.unwrap(), None);
    }
    rows.insert_one(doc! { "_id": "mark" }).await.unwrap();
    let first = timeout(LONG, changes.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.document_key.unwrap(), doc! { "_id": "mark" }, "{:?}", first.update_description);
}

async fn an_unacknowledged_write_is_unknown_and_undone(url: &str) {
    let unacknowledged = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&unacknowledged);
    let meddler = meddler(url, move |command| {
        let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if !command.contains_key("findAndModify") || taken.is_err() {
            return Fate::Pass;
        }
        let error = doc! { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out" };
        Fate::Amended(doc! { "writeConcernError": error })
    });
    let meddler = meddler.await;
    let collection = unique("unacknowledged");
    let builder = MongoStore::builder().database(DATABASE).collection(&collection);
    let store = builder.clone().connect(&url_at(url, meddler.address)).await.unwrap();
    let direct = builder.connect(url).await.unwrap();

    let (name, grant) = (name("lock"), new_grant());
    // `hello` is counted, too, should the driver send one: more than one is lost, then.
    unacknowledged.store(1, Ordering::SeqCst);
    let error = store.acquire(&[wanted(&name, grant)]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout, "{}", said(&error));
    assert!(!error.kind().took_no_effect());
    // It did happen, on this primary. The same grant may ask again.
    assert!(matches!(acquire(&direct, &name, new_grant()).await, AcquireAnswer::Held(_)));
    assert!(matches!(acquire(&store, &name, grant).await, AcquireAnswer::Granted { .. }));
    release(&store, &name, grant).await;

    // And the engine gives back what it does not know to have.
    let locker = Locker::new(store);
    unacknowledged.store(1, Ordering::SeqCst);
    match locker.try_lock(LockOptions::new(name.as_str()).lock_at_most(LONG)).await {
        // It asked again in time, for the same grant.
        Ok(lock) => lock.unlock().await.unwrap(),
        Err(error) => assert!(error.is_transient(), "{error:?}"),
    }
    while direct.inspect(&name).await.unwrap().is_some() {
        sleep(Duration::from_millis(20)).await;
    }
}

async fn servers_that_refuse_upserts_are_served_in_two_steps(url: &str) {
    for (code, code_name) in [(66, "ImmutableField"), (117, "ConflictingOperationInProgress")] {
        let upserts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&upserts);
        let meddler = meddler(url, move |command| {
            if command.get_bool("upsert").unwrap_or(false) {
                counted.fetch_add(1, Ordering::SeqCst);
                return Fate::Answered(error(code, code_name));
            }
            Fate::Pass
        });
        let meddler = meddler.await;
        let collection = unique("two_steps");
        let builder = MongoStore::builder().database(DATABASE).collection(&collection);
        let store = builder.clone().connect(&url_at(url, meddler.address)).await.unwrap();
        let other = builder.connect(&url_at(url, meddler.address)).await.unwrap();

        everything(&store).await;
        assert_eq!(upserts.load(Ordering::SeqCst), 1, "{code}: once is enough to know");

        // One winner on a name that nobody has seen, and every grant's token larger than the last.
        for _ in 0..20 {
            let contended = name("contended");
            let grants: Vec<GrantId> = (0..16).map(|_| new_grant()).collect();
            let asked = grants.iter().enumerate().map(|(at, grant)| {
                let store = if at % 2 == 0 { &store } else { &other };
                settled(store, &contended, *grant)
            });
            let answers = join_all(asked).await;
            let won = answers.iter().filter(|answer| matches!(answer, AcquireAnswer::Granted { .. })).count();
            assert_eq!(won, 1, "{code}: {answers:?}");
        }

        // An undo before its acquire, at a name that nobody has seen.
        let (undone, late) = (name("undone"), new_grant());
        assert_eq!(release(&store, &undone, late).await, ReleaseAnswer::NotYours(LostReason::RowGone));
        assert_eq!(acquire(&other, &undone, late).await, AcquireAnswer::Raced);
        assert_eq!(other.inspect(&undone).await.unwrap(), None);
        take(&other, &undone).await;

        // A client that ended between the two steps leaves a row without fields, which is as good as none.
        let rows = rows(url, &collection).await;
        for (at, half) in [name("half"), name("half")].into_iter().enumerate() {
            rows.insert_one(doc! { "_id": half.as_str() }).await.unwrap();
            assert_eq!(store.inspect(&half).await.unwrap(), None);
            let renewal = RenewRequest::new(half.clone(), late, FencingToken::new(1), LONG);
            assert_eq!(store.renew(&[renewal]).await.unwrap(), [RenewAnswer::Lost(LostReason::RowGone)]);
            if at == 0 {
                assert_eq!(release(&store, &half, late).await, ReleaseAnswer::NotYours(LostReason::RowGone));
                assert_eq!(acquire(&store, &half, late).await, AcquireAnswer::Raced);
            }
            take(&store, &half).await;
        }
    }
}

async fn upserts_that_collide_are_tried_again(url: &str) {
    let (collisions, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, to_come) = (Arc::clone(&collisions), Arc::clone(&left));
    let meddler = meddler(url, move |command| {
        let mine = command.contains_key("findAndModify");
        if mine
            && to_come.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            let code = if seen.fetch_add(1, Ordering::SeqCst) % 2 == 0 { 11000 } else { 112 };
            return Fate::Answered(error(code, "DuplicateKey or WriteConflict"));
        }
        Fate::Pass
    });
    let meddler = meddler.await;
    let builder = MongoStore::builder().database(DATABASE).collection(unique("colliding"));
    let store = builder.connect(&url_at(url, meddler.address)).await.unwrap();
    for _ in 0..2 {
        left.store(1, Ordering::SeqCst);
        take(&store, &name("once")).await;
    }
    left.store(2, Ordering::SeqCst);
    let error = store.acquire(&[wanted(&name("twice"), new_grant())]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict, "{}", said(&error));
    assert_eq!(collisions.load(Ordering::SeqCst), 4);
}

async fn one_locked_row_keeps_no_other_lease_waiting(url: &str) {
    let (store, rows) = store_and_rows(url).await;
    let mut renewals = Vec::new();
    for at in 0..8 {
        let name = name(&format!("lease-{at}"));
        let (grant, token) = take(&store, &name).await;
        renewals.push(RenewRequest::new(name, grant, token, LONG * 2));
    }
    let mut session = rows.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    let (locked, touch) = (doc! { "_id": renewals[3].name.as_str() }, doc! { "$set": { "touched": true } });
    rows.update_one(locked, touch).session(&mut session).await.unwrap();

    let answers = timeout(LONG, store.renew(&renewals)).await.unwrap().unwrap();
    for (at, answer) in answers.iter().enumerate() {
        let RenewAnswer::Renewed { remaining, .. } = answer else { panic!("lease {at}: {answer:?}") };
        assert_eq!(*remaining > LONG, at != 3, "lease {at}: {remaining:?} remain");
        assert!(*remaining > LONG / 2, "lease {at}: {remaining:?} remain");
    }
    session.abort_transaction().await.unwrap();
    let again = store.renew(&renewals[3..4]).await.unwrap();
    assert!(matches!(again[..], [RenewAnswer::Renewed { remaining, .. }] if remaining > LONG), "{again:?}");
}

async fn names_that_a_collation_merges_are_refused_by_it(url: &str) {
    let collection = unique("merging");
    let admin = Client::with_uri_str(url).await.unwrap();
    let create = doc! { "create": &collection, "collation": { "locale": "en", "strength": 1 } };
    admin.database(DATABASE).run_command(create).await.unwrap();
    let store = MongoStore::builder().database(DATABASE).collection(&collection).connect(url).await.unwrap();

    let (small, large) = (LockName::new("job").unwrap(), LockName::new("JOB").unwrap());
    let (grant, token) = take(&store, &small).await;
    let error = store.acquire(&[wanted(&large, new_grant())]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration, "{}", said(&error));
    assert!(said(&error).contains("collation"), "{}", said(&error));
    assert_eq!(store.inspect(&small).await.unwrap().unwrap().token, token);
    assert_eq!(release(&store, &small, grant).await, ReleaseAnswer::Released);
}

async fn rows_of_others_are_told_or_passed_over(url: &str) {
    let (store, rows) = store_and_rows(url).await;
    let far = golock_mongo::mongodb::bson::DateTime::from_millis(4_000_000_000_000);
    let row = doc! { "_id": "theirs", "token": 7.5, "expiresAt": far, "lockedAt": far, "lockBy": "somebody" };
    rows.insert_one(row).await.unwrap();
    rows.insert_one(doc! { "_id": 7, "token": 7_i64, "expiresAt": far }).await.unwrap();
    let held = name("held");
    take(&store, &held).await;
    rows.update_one(doc! { "_id": held.as_str() }, doc! { "$set": { "lockBy": "\u{7}" } }).await.unwrap();

    let theirs = LockName::new("theirs").unwrap();
    let error = store.acquire(&[wanted(&theirs, new_grant())]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::SchemaMissing, "{}", said(&error));
    assert!(said(&error).contains("token"), "{}", said(&error));
    rows.delete_one(doc! { "_id": "theirs" }).await.unwrap();
    // A label that is none hides no lock, and a name that is none is no lock.
    let listed = store.list(&ListRequest::new("", 10)).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0].name, listed[0].lock_by.as_str()), (&held, "(unreadable)"));
}

async fn more_locks_than_a_batch_holds_are_listed(url: &str) {
    let (store, _) = store_and_rows(url).await;
    let names: Vec<LockName> = (0..250).map(|at| LockName::new(format!("many-{at:03}")).unwrap()).collect();
    let requests: Vec<AcquireRequest> = names.iter().map(|name| wanted(name, new_grant())).collect();
    store.acquire(&requests).await.unwrap();
    let listed = store.list(&ListRequest::new("many-", 1_000)).await.unwrap();
    assert_eq!(listed.into_iter().map(|info| info.name).collect::<Vec<_>>(), names);
    assert_eq!(store.list(&ListRequest::new("many-", 0)).await.unwrap(), []);
}

async fn end_of_lock_at_least_is_told_to_those_who_wait(url: &str) {
    let (store, _) = store_and_rows(url).await;
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(timeout(LONG, wakeups.next()).await.unwrap(), Some(Wakeup::Listening));
    let name = name("kept");
    let (grant, _) = take(&store, &name).await;
    store.mark_waiting(&[MarkRequest::new(name.clone(), LONG)]).await.unwrap();
    let kept = ReleaseRequest::new(name.clone(), grant, LONG / 2);
    assert_eq!(store.release(&[kept]).await.unwrap(), [ReleaseAnswer::Released]);
    assert_eq!(timeout(LONG, wakeups.next()).await.unwrap(), Some(Wakeup::Freed(name.clone())));
    // And once more, when it is freed before that.
    sleep(Duration::from_millis(2)).await;
    store.force_unlock(&name).await.unwrap().unwrap();
    assert_eq!(timeout(LONG, wakeups.next()).await.unwrap(), Some(Wakeup::Freed(name)));
}

async fn a_store_that_is_dropped_leaves_no_connection(url: &str) {
    let witness = Client::with_uri_str(url).await.unwrap();
    let connections = async || {
        let status = witness.database("admin").run_command(doc! { "serverStatus": 1 }).await.unwrap();
        match status.get_document("connections").unwrap().get("current").unwrap() {
            Bson::Int32(current) => i64::from(*current),
            Bson::Int64(current) => *current,
            current => panic!("{current}"),
        }
    };
    let mut stores = Vec::new();
    for _ in 0..20 {
        let store =
            MongoStore::builder().database(DATABASE).collection("dropped").connect(url).await.unwrap();
        take(&store, &name("lock")).await;
        let mut wakeups = store.wakeups().unwrap();
        assert_eq!(timeout(LONG, wakeups.next()).await.unwrap(), Some(Wakeup::Listening));
        // Given up while it waits, as are calls that take too long.
        let _ = timeout(Duration::from_millis(10), wakeups.next()).await;
        stores.push(store);
    }
    let most = connections().await;
    drop(stores);
    // Other tests come and go meanwhile; each store had two connections and more.
    while connections().await > most - 40 {
        sleep(Duration::from_millis(50)).await;
    }
}

/// Every operation, on names of its own.
async fn everything(store: &MongoStore) {
    let lock = name("everything");
    let (grant, token) = take(store, &lock).await;
    let renewed = store.renew(&[RenewRequest::new(lock.clone(), grant, token, LONG)]).await.unwrap();
    assert!(matches!(renewed[..], [RenewAnswer::Renewed { .. }]), "{renewed:?}");
    store.mark_waiting(&[MarkRequest::new(lock.clone(), LONG)]).await.unwrap();
    assert_eq!(store.inspect(&lock).await.unwrap().unwrap().token, token);
    assert_eq!(store.list(&ListRequest::new("everything", 10)).await.unwrap().len(), 1);
    let fenced = store.revoke(&lock).await.unwrap().unwrap();
    assert!(fenced > token);
    assert_eq!(release(store, &lock, grant).await, ReleaseAnswer::AlreadyReleased);
    assert!(store.force_unlock(&lock).await.unwrap().unwrap() > fenced);
    assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 1);
}

async fn store_and_rows(url: &str) -> (MongoStore, Collection<Document>) {
    let collection = unique("own");
    let store = MongoStore::builder().database(DATABASE).collection(&collection).connect(url).await.unwrap();
    (store, rows(url, &collection).await)
}

async fn rows(url: &str, collection: &str) -> Collection<Document> {
    Client::with_uri_str(url).await.unwrap().database(DATABASE).collection(collection)
}

async fn meddler(url: &str, judge: impl Fn(&Document) -> Fate + Send + Sync + 'static) -> Meddler {
    let (_, rest) = url.split_once("://").unwrap();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    Meddler::start(place.split(['/', '?']).next().unwrap(), judge).await.unwrap()
}

async fn take(store: &MongoStore, name: &LockName) -> (GrantId, FencingToken) {
    let grant = new_grant();
    match settled(store, name, grant).await {
        AcquireAnswer::Granted { token, .. } => (grant, token),
        answer => panic!("{name:?} is free: {answer:?}"),
    }
}

/// Asks again while the answer is that somebody was faster, as the engine does.
async fn settled(store: &MongoStore, name: &LockName, grant: GrantId) -> AcquireAnswer {
    loop {
        match acquire(store, name, grant).await {
            AcquireAnswer::Raced => {}
            answer => return answer,
        }
    }
}

async fn acquire(store: &MongoStore, name: &LockName, grant: GrantId) -> AcquireAnswer {
    store.acquire(&[wanted(name, grant)]).await.unwrap().remove(0)
}

async fn release(store: &MongoStore, name: &LockName, grant: GrantId) -> ReleaseAnswer {
    let request = ReleaseRequest::new(name.clone(), grant, Duration::ZERO);
    store.release(&[request]).await.unwrap().remove(0)
}

fn wanted(name: &LockName, grant: GrantId) -> AcquireRequest {
    AcquireRequest::new(name.clone(), grant, Label::new("tester").unwrap(), LONG)
}

fn name(what: &str) -> LockName {
    LockName::new(unique(what)).unwrap()
}

fn new_grant() -> GrantId {
    let mut bytes = [0; 16];
    bytes[..12].copy_from_slice(&golock_mongo::mongodb::bson::oid::ObjectId::new().bytes());
    GrantId::from_bytes(bytes)
}

/// The error and its source.
fn said(error: &StoreError) -> String {
    format!("{error}: {}", error.source().unwrap())
}
