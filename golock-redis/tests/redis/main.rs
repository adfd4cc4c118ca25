//! What only Redis and Valkey have: scripts that are forgotten, replicas, users, eviction, keys that expire, a Cluster, and
//! a server that executes whatever it finds when it is continued.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use golock_conformance::proxy::{Direction, Proxy};
use golock_core::store::{
    AcquireAnswer, AcquireRequest, ListRequest, LockStore, MarkRequest, ReleaseAnswer, ReleaseRequest,
    RenewAnswer, RenewRequest, StoreError, StoreErrorKind, Wakeup,
};
use golock_core::{FencingToken, GrantId, LockName, LockOptions, Locker};
use golock_redis::RedisStore;
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Runtime;

use renewals::{
    a_key_that_is_written_over_costs_one_lease,
    ten_thousand_leases_are_renewed_by_two_commands_a_second_at_most,
};
use server::own::{KINDS, LONG, Own, grant, label, name};
use settings::{
    a_cluster_is_served_whatever_the_names, a_password_that_was_changed_is_told,
    a_server_that_may_evict_locks_is_refused_by_the_settings_name,
    an_applications_client_lends_its_settings_and_no_connection,
};

mod renewals;
#[path = "../server/mod.rs"]
mod server;
mod settings;

macro_rules! trials {
    ($runtime:expr, $($test:ident: $arguments:expr),+ $(,)?) => {{
        let mut trials = Vec::new();
        for kind in KINDS {
            $({
                let runtime = $runtime.handle().clone();
                trials.push(Trial::ignorable_test(format!("{}::{}", kind.id, stringify!($test)), move || {
                    runtime.block_on(async {
                        let server = match Own::start(kind, &$arguments).await {
                            Ok(server) => server,
                            Err(why) if kind.is_required() => return Err(why.into()),
                            Err(why) => return Ok(Completion::ignored_with(why)),
                        };
                        $test(&server).await;
                        server.remove().await;
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
        scripts_that_the_server_forgets_are_sent_again: [],
        a_lock_and_its_unlock_are_two_commands: [],
        tokens_increase_over_flushall: [],
        too_few_replicas_are_told_and_the_lock_is_free_again: [],
        a_user_by_the_schema_can_do_everything_and_no_more: [],
        prefixes_with_glob_characters_hold_only_their_own_names: [],
        what_reaches_the_server_after_its_time_is_not_executed: [],
        a_server_that_was_stopped_executes_nothing_that_was_given_up: [],
        nothing_is_sent_twice: [],
        keys_outlive_their_leases_by_the_retention: [],
        a_server_that_may_evict_locks_is_refused_by_the_settings_name: ["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"],
        a_password_that_was_changed_is_told: [],
        an_applications_client_lends_its_settings_and_no_connection: ["--databases", "4"],
        a_cluster_is_served_whatever_the_names: ["--cluster-enabled", "yes"],
        ten_thousand_leases_are_renewed_by_two_commands_a_second_at_most: [],
        a_key_that_is_written_over_costs_one_lease: [],
    ];
    let mut arguments = Arguments::from_args();
    // Each has a container of its own.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    libtest_mimic::run(&arguments, trials).exit_code()
}

async fn scripts_that_the_server_forgets_are_sent_again(server: &Own) {
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let job = name("job");
    for _ in 0..3 {
        server.run(&["SCRIPT", "FLUSH"]).await;
        let (id, token) = take(&store, &job).await;
        server.run(&["SCRIPT", "FLUSH"]).await;
        let renewal = RenewRequest::new(job.clone(), id, token, LONG);
        assert!(matches!(store.renew(&[renewal]).await.unwrap()[..], [RenewAnswer::Renewed { .. }]));
        server.run(&["SCRIPT", "FLUSH"]).await;
        store.mark_waiting(&[MarkRequest::new(job.clone(), LONG)]).await.unwrap();
        assert_eq!(store.inspect(&job).await.unwrap().unwrap().token, token);
        assert_eq!(store.list(&ListRequest::new("", 10)).await.unwrap().len(), 1);
        server.run(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(release(&store, &job, id).await, ReleaseAnswer::Released);
    }
    server.run(&["SCRIPT", "FLUSH"]).await;
    let requests: Vec<_> = (0..100).map(|at| acquisition(&name(&format!("batch-{at}")), grant())).collect();
    let answers = store.acquire(&requests).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, AcquireAnswer::Granted { .. })));
}

async fn a_lock_and_its_unlock_are_two_commands(server: &Own) {
    let locker = golock_redis::connect(&server.url()).await.unwrap();
    locker.try_lock(LockOptions::new("warm")).await.unwrap().unlock().await.unwrap();
    let admin = server.admin().await;
    admin.run(&["CONFIG", "RESETSTAT"]).await.unwrap();
    for _ in 0..10 {
        locker.try_lock(LockOptions::new("job")).await.unwrap().unlock().await.unwrap();
    }
    let stats = admin.run(&["INFO", "commandstats"]).await.unwrap();
    let calls = |command| calls(&stats, command);
    assert_eq!(calls("evalsha"), 20, "{stats}");
    // The others are those of the scripts: nobody waits, so nobody is told.
    for (command, inside) in
        [("time", 20), ("hmget", 20), ("hset", 20), ("pexpire", 20), ("publish", 0), ("eval", 0)]
    {
        assert_eq!(calls(command), inside, "{command}: {stats}");
    }
    // Besides, there is what this test did.
    let commands =
        stats.lines().filter(|line| line.starts_with("cmdstat_") && !line.contains("config|resetstat"));
    assert_eq!(commands.count(), 5, "{stats}");
}

async fn tokens_increase_over_flushall(server: &Own) {
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let (job, mut last) = (name("job"), FencingToken::new(0));
    for _ in 0..20 {
        let (id, token) = take(&store, &job).await;
        assert!(token > last, "{token} does not follow {last}");
        server.run(&["FLUSHALL"]).await;
        assert_eq!(
            release(&store, &job, id).await,
            ReleaseAnswer::NotYours(golock_core::LostReason::RowGone)
        );
        last = token;
    }
}

async fn too_few_replicas_are_told_and_the_lock_is_free_again(server: &Own) {
    let within = Duration::from_millis(50);
    let store = RedisStore::builder().wait_for_replicas(1, within).connect(&server.url()).await.unwrap();
    let (job, id) = (name("job"), grant());
    for _ in 0..2 {
        // The same grant: it may ask again.
        let error = store.acquire(&[acquisition(&job, id)]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", why(&error));
        assert!(why(&error).contains("0 of 1 replicas confirmed"), "{}", why(&error));
        assert_eq!(store.inspect(&job).await.unwrap(), None);
    }
    let anyone = RedisStore::connect(&server.url()).await.unwrap();
    take(&anyone, &job).await;
    // Who is refused needs no replica.
    let answers = store.acquire(&[acquisition(&job, id)]).await.unwrap();
    assert!(matches!(answers[..], [AcquireAnswer::Held(_)]), "{answers:?}");

    // A waiter gets its lock when there is a replica.
    let locker = Locker::new(store);
    let waiting = tokio::spawn({
        let locker = locker.clone();
        async move { locker.lock(LockOptions::new("later")).await }
    });
    let replica = server.another(&["--replicaof", server.host(), "6379"]).await;
    let lock = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap().unwrap();
    lock.extend(LONG).await.unwrap();
    lock.unlock().await.unwrap();

    // The replica takes no locks.
    let error = RedisStore::connect(&replica.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{}", why(&error));
}

async fn a_user_by_the_schema_can_do_everything_and_no_more(server: &Own) {
    for prefix in ["golock:", "my own [locks]*?\\ {a}:"] {
        let builder = || RedisStore::builder().prefix(prefix);
        let admin = server.admin().await;
        let schema = builder().connect(&server.url()).await.unwrap().schema();
        let rules = schema.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
        let words: Vec<_> = rules.split(' ').map(|word| word.trim_matches('\'')).collect();
        admin.run(&[&words[..], &[">secret"]].concat()).await.unwrap();
        admin.run(&["ACL", "LOG", "RESET"]).await.unwrap();

        let url = server::url_as(&server.url(), words[2], "secret");
        let store = builder().wait_for_replicas(1, Duration::from_millis(1)).connect(&url).await.unwrap();
        let error = store.acquire(&[acquisition(&name("job"), grant())]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", why(&error));

        let store = builder().connect(&url).await.unwrap();
        everything(&store).await;
        let elsewhere = RedisStore::builder().prefix("elsewhere:").connect(&url).await.unwrap();
        let error = elsewhere.acquire(&[acquisition(&name("job"), grant())]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Permission, "{}", why(&error));
        let denied = admin.run(&["ACL", "LOG"]).await.unwrap();
        assert_eq!(denied.lines().count(), 1, "only what is elsewhere: {denied}");
    }
}

async fn prefixes_with_glob_characters_hold_only_their_own_names(server: &Own) {
    let prefixes = ["a*:", "ab:", "a?:", "a[b]:", "a\\*:", "{a}:", "a{:", "a:", "é:", "a\n:"];
    let mut stores = Vec::new();
    for prefix in prefixes {
        stores.push(RedisStore::builder().prefix(prefix).connect(&server.url()).await.unwrap());
    }
    for (store, prefix) in stores.iter().zip(prefixes) {
        take(store, &name("job")).await;
        take(store, &name(prefix)).await;
    }
    for (store, prefix) in stores.iter().zip(prefixes) {
        let listed = store.list(&ListRequest::new("", 10)).await.unwrap();
        let mut expected = [prefix, "job"];
        expected.sort_unstable();
        let names: Vec<_> = listed.iter().map(|info| info.name.as_str()).collect();
        assert_eq!(names, expected, "under {prefix:?}");
        assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 0);
    }
}

async fn what_reaches_the_server_after_its_time_is_not_executed(server: &Own) {
    let proxy = Proxy::start(server.address.clone()).await.unwrap();
    let (timeout, url) = (Duration::from_millis(500), format!("redis://{}", proxy.address()));
    let store = RedisStore::builder().request_timeout(timeout).connect(&url).await.unwrap();
    let witness = RedisStore::connect(&server.url()).await.unwrap();
    let (held, wanted) = (name("held"), name("wanted"));
    let (holder, token) = take(&store, &held).await;
    let before = witness.inspect(&held).await.unwrap().unwrap();

    proxy.hold(Direction::ToServer);
    // One is dropped while it is on its way; the others give up by themselves.
    let (dropped, given_up) = ([acquisition(&wanted, grant())], [acquisition(&wanted, grant())]);
    let renewal = [RenewRequest::new(held.clone(), holder, token, 10 * LONG)];
    assert!(tokio::time::timeout(timeout / 5, store.acquire(&dropped)).await.is_err());
    let begun = Instant::now();
    let (acquired, renewed, forced) =
        tokio::join!(store.acquire(&given_up), store.renew(&renewal), store.force_unlock(&held));
    for error in [acquired.unwrap_err(), renewed.unwrap_err(), forced.unwrap_err()] {
        assert!(error.is_transient() && !error.kind().took_no_effect(), "{}", why(&error));
    }
    tokio::time::sleep((2 * timeout).saturating_sub(begun.elapsed())).await;

    let calls = executed(server).await;
    proxy.let_go(Direction::ToServer);
    while executed(server).await < calls + 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(witness.inspect(&wanted).await.unwrap(), None, "taken by a request that was given up");
    let after = witness.inspect(&held).await.unwrap().unwrap();
    assert_eq!(after.token, token, "forced open by a request that was given up");
    assert!(after.remaining < before.remaining, "extended by a request that was given up");
    // All is well again.
    take(&store, &wanted).await;
    assert_eq!(release(&store, &held, holder).await, ReleaseAnswer::Released);
}

async fn a_server_that_was_stopped_executes_nothing_that_was_given_up(server: &Own) {
    let timeout = Duration::from_millis(500);
    let store = RedisStore::builder().request_timeout(timeout).connect(&server.url()).await.unwrap();
    let job = name("job");
    let (id, _) = take(&store, &job).await;
    release(&store, &job, id).await;
    let calls = executed(server).await;
    server.pause().await;
    let error = store.acquire(&[acquisition(&job, grant())]).await.unwrap_err();
    assert!(error.is_transient() && !error.kind().took_no_effect(), "{}", why(&error));
    tokio::time::sleep(timeout).await;
    server.go_on().await;
    while executed(server).await < calls + 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.inspect(&job).await.unwrap(), None, "taken by a request that was given up");
}

async fn nothing_is_sent_twice(server: &Own) {
    let proxy = Proxy::start(server.address.clone()).await.unwrap();
    let store = RedisStore::connect(&format!("redis://{}", proxy.address())).await.unwrap();
    let (job, id) = (name("job"), grant());
    take(&store, &name("warm")).await;
    store.inspect(&job).await.unwrap();
    let calls = executed(server).await;
    proxy.lose_next_answer();
    let error = store.acquire(&[acquisition(&job, id)]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Connection, "{}", why(&error));
    // The connection that is opened next has nothing to make up for.
    let token = store.inspect(&job).await.unwrap().unwrap().token;
    assert_eq!(executed(server).await, calls + 2, "the acquire once, and the inspection");
    let again = store.acquire(&[acquisition(&job, id)]).await.unwrap();
    assert!(matches!(again[..], [AcquireAnswer::Granted { token: same, .. }] if same == token), "{again:?}");
}

async fn keys_outlive_their_leases_by_the_retention(server: &Own) {
    let retention = Duration::from_secs(100);
    let store = RedisStore::builder().token_retention(retention).connect(&server.url()).await.unwrap();
    let job = name("job");
    let admin = server.admin().await;
    let lives =
        async || Duration::from_millis(admin.run(&["PTTL", "golock:job"]).await.unwrap().parse().unwrap());
    let about = |lives: Duration, expected: Duration| {
        assert!(lives <= expected && lives > expected - Duration::from_secs(30), "{lives:?} of {expected:?}");
    };
    let (id, token) = take(&store, &job).await;
    about(lives().await, retention + LONG);
    let renewal = RenewRequest::new(job.clone(), id, token, 3 * LONG);
    store.renew(&[renewal]).await.unwrap();
    about(lives().await, retention + 3 * LONG);
    release(&store, &job, id).await;
    about(lives().await, retention);
    // A token ahead of the clock is kept until the clock is there.
    let ahead = token.get() + 1_000_000_000;
    admin.run(&["HSET", "golock:job", "token", &ahead.to_string()]).await.unwrap();
    let (id, _) = take(&store, &job).await;
    about(lives().await, retention + Duration::from_secs(1_000));
    release(&store, &job, id).await;
    assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 0, "the token is ahead of the clock");
}

/// Every operation once.
async fn everything(store: &RedisStore) {
    let job = name("job");
    let mut wakeups = store.wakeups().unwrap();
    assert_eq!(wakeups.next().await, Some(Wakeup::Listening));
    let (id, token) = take(store, &job).await;
    let renewal = RenewRequest::new(job.clone(), id, token, LONG);
    assert!(matches!(store.renew(&[renewal]).await.unwrap()[..], [RenewAnswer::Renewed { .. }]));
    store.mark_waiting(&[MarkRequest::new(job.clone(), LONG)]).await.unwrap();
    assert_eq!(store.inspect(&job).await.unwrap().unwrap().token, token);
    assert_eq!(store.list(&ListRequest::new("", 10)).await.unwrap().len(), 1);
    assert_eq!(release(store, &job, id).await, ReleaseAnswer::Released);
    assert_eq!(wakeups.next().await, Some(Wakeup::Freed(job.clone())));
    take(store, &job).await;
    assert!(store.revoke(&job).await.unwrap() > Some(token));
    assert!(store.force_unlock(&job).await.unwrap() > Some(token));
    assert_eq!(wakeups.next().await, Some(Wakeup::Freed(job)));
    while store.purge(Duration::ZERO).await.unwrap() == 0 {}
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
    AcquireRequest::new(name.clone(), id, label(), LONG)
}

/// How often a command was executed, as `INFO commandstats` says; those that scripts call count as well.
fn calls(stats: &str, command: &str) -> u64 {
    let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))).unwrap_or("");
    line.split(['=', ',']).nth(1).map_or(0, |calls| calls.parse().unwrap())
}

/// How many scripts the server has executed since it was started.
async fn executed(server: &Own) -> u64 {
    let stats = server.run(&["INFO", "commandstats"]).await;
    let lines = stats.lines().filter(|line| line.starts_with("cmdstat_eval"));
    lines.map(|line| line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

fn why(error: &StoreError) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}
