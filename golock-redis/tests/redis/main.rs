//! What only Redis and Valkey have: scripts that are forgotten, replicas, users, eviction, keys that expire, a Cluster, sentinels,
//! and a server that executes whatever it finds when it is continued.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod cluster;
mod commands;
mod keys;
mod own;
mod renewals;
mod sentinel;
#[path = "../server/mod.rs"]
mod server;
mod servers;

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, AcquireRequest, LockStore, ReleaseAnswer, ReleaseRequest, StoreError,
};
use golock_core::{FencingToken, GrantId, Label, LockName};
use golock_redis::RedisStore;
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Runtime;

use self::own::Own;

macro_rules! trials {
    ($runtime:expr, $($test:path: $arguments:expr),+ $(,)?) => {{
        let mut trials = Vec::new();
        for id in ["redis", "valkey"] {
            $({
                let runtime = $runtime.handle().clone();
                trials.push(Trial::ignorable_test(format!("{id}::{}", stringify!($test)), move || {
                    runtime.block_on(async {
                        let server = match Own::start(id, &$arguments).await {
                            Ok(server) => server,
                            Err(why) => return Ok(Completion::ignored_with(why.excuse(id)?)),
                        };
                        $test(&server).await;
                        server.as_ref().remove().await;
                        Ok(Completion::Completed)
                    })
                }));
            })+
        }
        trials
    }};
}

fn main() -> ExitCode {
    let runtime = Runtime::new().unwrap();
    // Each test, and the arguments of the server that it has for itself.
    let trials = trials![
        runtime,
        commands::scripts_that_the_server_forgets_are_sent_again: [],
        commands::a_lock_and_its_unlock_are_two_commands: [],
        keys::tokens_increase_over_flushall: [],
        servers::too_few_replicas_are_told_and_the_lock_is_free_again: [],
        servers::a_withdrawal_that_comes_late_takes_nothing_back_that_was_granted_since: [],
        servers::a_server_that_does_not_say_how_many_confirmed_leaves_nothing_behind: [],
        servers::a_connection_to_a_server_that_was_demoted_is_not_used_again: [],
        servers::a_server_that_was_demoted_tells_nobody_that_a_lease_is_lost: [],
        servers::a_user_by_the_schema_can_do_everything_and_no_more: [],
        keys::prefixes_with_glob_characters_hold_only_their_own_names: [],
        commands::what_reaches_the_server_after_its_time_is_not_executed: [],
        commands::a_server_that_was_stopped_executes_nothing_that_was_given_up: [],
        commands::nothing_is_sent_twice: [],
        keys::keys_outlive_their_leases_by_the_retention: [],
        servers::a_server_that_may_evict_locks_is_refused_by_the_settings_name: ["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"],
        servers::a_password_that_was_changed_is_told: [],
        servers::a_listener_that_hears_nothing_goes_on_listening: [],
        servers::an_applications_client_lends_its_settings_and_no_connection: ["--databases", "4"],
        cluster::a_cluster_is_served_whatever_the_names: cluster::NODE,
        cluster::answers_stay_with_their_calls_while_a_slot_moves: cluster::NODE,
        cluster::a_moving_slot_costs_no_lease: cluster::NODE,
        cluster::a_node_of_no_cluster_is_not_believed: cluster::NODE,
        cluster::a_node_that_never_met_another_is_a_cluster: cluster::NODE,
        cluster::replicas_of_another_node_confirm_nothing: cluster::NODE,
        cluster::a_node_that_is_frozen_costs_only_its_own_leases: cluster::NODE,
        cluster::a_node_that_was_gone_is_asked_again: cluster::NODE,
        cluster::a_subscription_that_is_refused_is_not_taken_for_one: cluster::NODE,
        cluster::a_node_is_not_taken_for_a_server_of_its_own: cluster::NODE,
        sentinel::a_lease_outlives_its_primary: [],
        sentinel::a_sentinel_that_says_nothing_is_passed_over: [],
        sentinel::a_server_that_is_not_written_to_any_more_is_left: [],
        sentinel::a_sentinel_that_knows_nothing_is_not_the_last_word: [],
        sentinel::what_a_sentinel_refuses_is_told: [],
        renewals::ten_thousand_leases_are_renewed_by_two_commands_a_second_at_most: [],
        renewals::a_key_that_is_written_over_costs_one_lease: [],
    ];
    let mut arguments = Arguments::from_args();
    // Each has a container of its own.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    libtest_mimic::run(&arguments, trials).exit_code()
}

async fn take(store: &RedisStore, name: &LockName) -> (GrantId, FencingToken) {
    let id = grant();
    match &store.acquire(&[acquisition(name, id)]).await.unwrap()[..] {
        [AcquireAnswer::Granted { token, .. }] => (id, *token),
        answers => panic!("{name:?} is free, but: {answers:?}"),
    }
}

async fn release(store: &RedisStore, name: &LockName, id: GrantId) -> ReleaseAnswer {
    store.release(&[ReleaseRequest::new(name.clone(), id, Duration::ZERO)]).await.unwrap()[0]
}

fn acquisition(name: &LockName, id: GrantId) -> AcquireRequest {
    AcquireRequest::new(name.clone(), id, Label::new("tester").unwrap(), LONG)
}

fn why(error: &StoreError) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

fn name(name: &str) -> LockName {
    LockName::new(name).unwrap()
}

/// A grant that no other in this process has.
fn grant() -> GrantId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    GrantId::from_bytes(bytes)
}

const LONG: Duration = Duration::from_secs(60);
