//! What the suite of golock-conformance can't know: the ways of MongoDB, and of servers that are only like it.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod answers;
mod batches;
mod bursts;
mod commands;
mod handing;
mod meddler;
mod opening;
mod rows;
#[path = "../server/mod.rs"]
mod server;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use golock_conformance::servers::{self, Changes, Server, tests};
use golock_core::LostReason::RowGone;
use golock_core::store::{
    AcquireAnswer, AcquireRequest, ListRequest, LockStore, MarkRequest, ReleaseAnswer, ReleaseRequest,
    RenewAnswer, RenewRequest, StoreError,
};
use golock_core::{FencingToken, GrantId, Label, LockName};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::Document;
use golock_mongo::mongodb::{Client, Collection};

use self::server::{DATABASE, unique};

const LONG: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let tests = tests![
        commands::every_command_is_bounded_and_asks_for_the_majority,
        commands::what_is_refused_is_not_written,
        answers::an_unacknowledged_write_is_unknown_and_undone,
        answers::a_router_of_a_sharded_cluster_is_refused,
        answers::a_lease_is_not_lost_because_an_old_state_is_read,
        answers::servers_that_refuse_upserts_are_served_in_two_steps,
        answers::a_failure_beside_what_was_done_does_not_say_that_nothing_was,
        answers::upserts_that_collide_are_tried_again,
        answers::a_lock_is_taken_from_the_holder_that_was_seen,
        batches::many_leases_are_renewed_by_one_command,
        batches::each_loss_among_many_is_found_and_made_sure_of,
        batches::an_unacknowledged_batch_is_unknown,
        batches::a_batch_that_a_row_spoils_is_done_one_by_one,
        batches::a_row_that_is_refused_costs_no_other_lease,
        bursts::a_burst_of_unlocks_costs_no_lease,
        handing::a_hand_over_is_one_command,
        handing::the_last_token_is_handed_to_nobody,
        opening::a_lazy_store_looks_at_its_server_once_for_all_callers,
        opening::a_first_call_that_is_given_up_is_made_up_for_by_the_next,
        opening::a_lazy_store_that_finds_no_change_streams_polls,
        rows::one_locked_row_keeps_no_other_lease_waiting,
        rows::names_that_a_collation_merges_are_refused_by_it,
        rows::rows_of_others_are_told_or_passed_over,
        rows::row_that_can_not_be_read_costs_no_other_lease,
        rows::purge_goes_through_a_large_collection,
        rows::more_locks_than_a_batch_holds_are_listed,
        rows::end_of_lock_at_least_is_told_to_those_who_wait,
        commands::a_store_that_is_dropped_leaves_no_connection,
    ];
    let opening = Server::open("mongo", Changes::default(), server::ready);
    servers::main(vec![("mongo", opening)], AT_ONCE, &tests)
}

const AT_ONCE: usize = 2;

/// Every operation, on names of its own.
async fn everything(store: &MongoStore) {
    let lock = name("everything");
    let (grant, token) = take(store, &lock).await;
    let renewal = RenewRequest::new(lock.clone(), grant, token, LONG);
    let renewed = store.renew(std::slice::from_ref(&renewal)).await.unwrap();
    assert!(matches!(renewed[..], [RenewAnswer::Renewed { .. }]), "{renewed:?}");
    let gone = RenewRequest::new(name("gone"), grant, token, LONG);
    let renewed = store.renew(&[gone, renewal]).await.unwrap();
    assert!(matches!(renewed[..], [RenewAnswer::Lost(RowGone), RenewAnswer::Renewed { .. }]), "{renewed:?}");
    let next = new_grant();
    let (grant, token) = match handing::hand_over(store, &lock, grant, next).await.next {
        AcquireAnswer::Granted { token, .. } => (next, token),
        answer => panic!("nobody else waits: {answer:?}"),
    };
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
