//! A whole run: lockers, callers, rounds of faults, and the look at what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use golock_core::{LockName, LockOptions, LockStore, Locker};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time;

use super::caller::Caller;
use super::injector::Injector;
use super::kind::Kind;
use super::ledger::Ledger;
use super::plan::Plan;
use super::report::Report;
use crate::context::{chain, lock_name, unique};
use crate::effort::GIVE_UP;
use crate::fixture::{BoxError, Fixture};
use crate::history::History;
use crate::proxy::Proxy;

/// Runs the plan over a fixture. Nobody else may use the server meanwhile: it is killed, and its connections are.
///
/// It takes as long as the plan says, the round that has begun by then, and what the server needs to answer again. It needs a
/// multi-thread runtime, as services have. Faults by which processes are harmed need [`main`](super::main): only that can be
/// started again to hold locks.
///
/// # Errors
/// If there is no store to begin with. What goes wrong later is in the report.
///
/// # Cancel safety
/// Dropping the future ends the run, and may leave the server stopped.
pub async fn run(fixture: &dyn Fixture, plan: &Plan) -> Result<Report, BoxError> {
    let begun = Instant::now();
    let space = format!("faults_{}", unique());
    let names: Arc<[LockName]> = (0..plan.names).map(|at| lock_name(&format!("faults/{at}"))).collect();
    let ledger = Arc::new(Ledger::new(History::new(plan.lease)));
    let (mut proxies, mut lockers) = (Vec::new(), Vec::new());
    for _ in 0..plan.lockers {
        let store = match fixture.abilities().through {
            Ok(through) => {
                let proxy = Proxy::start(through.address()).await?;
                let store = through.store_through(&space, proxy.address()).await?;
                proxies.push(Mutex::new(proxy));
                store
            }
            Err(_) => fixture.store(&space).await?,
        };
        lockers.push(Locker::new(store));
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for (at, locker) in (0..).zip(lockers.iter().cycle().take(plan.lockers * plan.callers)) {
        let caller = Caller {
            locker: locker.clone(),
            names: names.clone(),
            lease: plan.lease,
            ledger: ledger.clone(),
            chance: plan.chance(1 + at),
            over: over.clone(),
        };
        tasks.spawn(caller.work());
    }
    let watchman = fixture.store(&space).await?;
    let watchman = tokio::spawn(watch(watchman, names.clone(), ledger.clone()));

    let (possible, impossible) = kinds(fixture, plan);
    let injector = Injector {
        fixture,
        space: space.clone(),
        proxies,
        names: names.clone(),
        lease: plan.lease,
        ledger: ledger.clone(),
        server: Mutex::default(),
    };
    // What is stuck is seen as such when it has stayed for longer than it may.
    let quiet = plan.lease + Duration::from_millis(1_500);
    let mut rounds = plan.rounds(&possible);
    while begun.elapsed() + quiet < plan.duration {
        match rounds.next() {
            Some(steps) => drop(join_all(steps.iter().map(|step| injector.inject(step))).await),
            None => time::sleep(plan.duration - quiet).await,
        }
        time::sleep(quiet).await;
    }
    let duration = begun.elapsed();

    over.store(true, Ordering::SeqCst);
    end_all(tasks, &ledger).await;
    all_work_again(&lockers, &names, &ledger).await;
    watchman.abort();
    if let Ok(damage) = fixture.abilities().damage {
        // What is left over harms nobody: no other run uses the space.
        let _ = damage.drop_space(&space).await;
    }
    let entries = ledger.entries();
    Ok(Report::new(fixture.name(), plan, duration, &entries, possible.len(), impossible))
}

/// Those that the fixture can do, and those that it can't, with the reasons.
pub(super) fn kinds(fixture: &dyn Fixture, plan: &Plan) -> (Vec<Kind>, Vec<(Kind, &'static str)>) {
    let (mut possible, mut impossible) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        match kind.possible(&fixture.abilities()) {
            Ok(()) if !plan.processes && kind.takes_a_process() => {
                impossible.push((kind, "this program can't be started again to hold locks"));
            }
            Ok(()) => possible.push(kind),
            Err(reason) => impossible.push((kind, reason)),
        }
    }
    (possible, impossible)
}

/// Asks the store who holds each name, past the proxies, again and again.
async fn watch(store: Arc<dyn LockStore>, names: Arc<[LockName]>, ledger: Arc<Ledger>) {
    loop {
        for name in &*names {
            let looked = Instant::now();
            // A server that is down says nothing, and excuses what is stuck.
            let Ok(Ok(seen)) = time::timeout(GIVE_UP, store.inspect(name)).await else { continue };
            let mut entries = ledger.entries();
            entries.looks += 1;
            if let Some(info) = seen {
                entries.history.sighted(name.clone(), info.token, looked);
            }
        }
        time::sleep(Duration::from_millis(50)).await;
    }
}

/// No call goes on for ever, and none panics.
async fn end_all(mut tasks: JoinSet<()>, ledger: &Ledger) {
    let end = time::timeout(GIVE_UP, async {
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                ledger.broken(format!("a caller did not end by itself: {error}"));
            }
        }
    });
    if end.await.is_err() {
        ledger.broken(format!("{} callers still waited after {GIVE_UP:?}", tasks.len()));
    }
}

/// When all faults are over, each locker takes each name in its turn and gives it back, without being rebuilt.
async fn all_work_again(lockers: &[Locker], names: &[LockName], ledger: &Ledger) {
    let each = lockers.iter().enumerate().flat_map(|locker| names.iter().map(move |name| (locker, name)));
    join_all(each.map(async |((at, locker), name)| {
        let options = LockOptions::new(name.as_str()).lock_by("faults").wait(GIVE_UP);
        let worked = match locker.lock(options).await {
            Ok(lock) => lock.unlock().await,
            Err(error) => Err(error),
        };
        if let Err(error) = worked {
            let error = chain(&error);
            ledger.broken(format!("locker {at} does not work any more, when all faults are over: {error}"));
        }
    }))
    .await;
}
