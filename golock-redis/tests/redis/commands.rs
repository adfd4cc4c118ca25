//! What is sent: how often, again where a script was forgotten, and never executed after its time.

use std::time::{Duration, Instant};

use golock_conformance::Pause;
use golock_conformance::proxy::{Direction, Proxy};
use golock_core::LockOptions;
use golock_core::store::{
    AcquireAnswer, ListRequest, LockStore, MarkRequest, ReleaseAnswer, RenewAnswer, RenewRequest,
    StoreErrorKind,
};
use golock_redis::RedisStore;

use crate::own::Own;
use crate::{LONG, acquisition, grant, name, release, take, why};

pub(crate) async fn scripts_that_the_server_forgets_are_sent_again(server: &Own) {
    let store = RedisStore::connect(server.url()).await.unwrap();
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

pub(crate) async fn a_lock_and_its_unlock_are_two_commands(server: &Own) {
    let locker = golock_redis::connect(server.url()).await.unwrap();
    locker.try_lock(LockOptions::new("warm")).await.unwrap().unlock().await.unwrap();
    let admin = server.admin().await;
    admin.run(&["CONFIG", "RESETSTAT"]).await.unwrap();
    for _ in 0..10 {
        locker.try_lock(LockOptions::new("job")).await.unwrap().unlock().await.unwrap();
    }
    let stats = admin.run(&["INFO", "commandstats"]).await.unwrap();
    let calls = |command| calls(&stats, command);
    assert_eq!(calls("evalsha"), 20, "{stats}");
    // The others are those of the scripts: nobody waits, so nobody is told; the hash lives for long enough when it is given back.
    for (command, inside) in
        [("time", 20), ("hmget", 20), ("hset", 20), ("pexpire", 10), ("publish", 0), ("eval", 0)]
    {
        assert_eq!(calls(command), inside, "{command}: {stats}");
    }
    // Besides, there is what this test did.
    let commands =
        stats.lines().filter(|line| line.starts_with("cmdstat_") && !line.contains("config|resetstat"));
    assert_eq!(commands.count(), 5, "{stats}");
}

pub(crate) async fn nothing_is_sent_twice(server: &Own) {
    let proxy = Proxy::start(server.address()).await.unwrap();
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

pub(crate) async fn what_reaches_the_server_after_its_time_is_not_executed(server: &Own) {
    let proxy = Proxy::start(server.address()).await.unwrap();
    let (timeout, url) = (Duration::from_millis(500), format!("redis://{}", proxy.address()));
    let store = RedisStore::builder().request_timeout(timeout).connect(&url).await.unwrap();
    let witness = RedisStore::connect(server.url()).await.unwrap();
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

pub(crate) async fn a_server_that_was_stopped_executes_nothing_that_was_given_up(server: &Own) {
    let timeout = Duration::from_millis(500);
    let store = RedisStore::builder().request_timeout(timeout).connect(server.url()).await.unwrap();
    let job = name("job");
    let (id, _) = take(&store, &job).await;
    release(&store, &job, id).await;
    let calls = executed(server).await;
    server.as_ref().pause().await.unwrap();
    let error = store.acquire(&[acquisition(&job, grant())]).await.unwrap_err();
    assert!(error.is_transient() && !error.kind().took_no_effect(), "{}", why(&error));
    tokio::time::sleep(timeout).await;
    server.as_ref().unpause().await.unwrap();
    while executed(server).await < calls + 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.inspect(&job).await.unwrap(), None, "taken by a request that was given up");
}

/// How many scripts the server has executed since it was started.
async fn executed(server: &Own) -> u64 {
    let stats = server.run(&["INFO", "commandstats"]).await;
    let lines = stats.lines().filter(|line| line.starts_with("cmdstat_eval"));
    lines.map(|line| line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

/// How often a command was executed, by what INFO says.
pub(crate) fn calls(stats: &str, command: &str) -> u64 {
    let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))).unwrap_or("");
    line.split(['=', ',']).nth(1).map_or(0, |calls| calls.parse().unwrap())
}
