//! What the keeper remembers: nothing of what has ended. A service locks and unlocks for months.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};

use super::timers::Timer;
use super::{Calls, Command, Commands, Env, Keeper, Telemetry};
use crate::{Error, Lock, LockOptions, LockStore, MemoryStore};

/// A keeper that runs when it is told to, so that a test can look into it in between.
struct Bench {
    keeper: Keeper,
    commands: Commands,
    inbox: mpsc::UnboundedReceiver<Command>,
    callers: u64,
}

impl Bench {
    fn new(store: &MemoryStore) -> Self {
        let (env, capabilities) = (Env::system(), store.capabilities());
        let limit = capabilities.request_timeout;
        let telemetry = Telemetry::new(capabilities.backend, Arc::new(|_| "all".into()));
        let calls = Calls {
            store: Arc::new(store.clone()),
            capabilities,
            clock: env.clock.clone(),
            limit,
            telemetry,
        };
        let (commands, inbox) = mpsc::unbounded_channel();
        let keeper = Keeper::new(calls, env, 0.01, commands.downgrade());
        Self { keeper, commands, inbox, callers: 0 }
    }

    /// Does all that can be done without time passing.
    async fn settle(&mut self) {
        loop {
            while let Some(timer) = self.keeper.timers.pop(self.keeper.now()) {
                self.keeper.fire(timer);
            }
            if let Ok(command) = self.inbox.try_recv() {
                self.keeper.command(command);
                continue;
            }
            let mut next = pin!(self.keeper.under_way.next());
            match poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await {
                Poll::Ready(Some(done)) => self.keeper.done(done),
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    async fn pass(&mut self, time: Duration) {
        tokio::time::advance(time).await;
        self.settle().await;
    }

    /// Gets a caller in line, and says which.
    async fn get_in_line(&mut self, options: LockOptions) -> (u64, oneshot::Receiver<Result<Lock, Error>>) {
        self.callers += 1;
        let (reply, answer) = oneshot::channel();
        let wanted = options.check().unwrap();
        self.commands.send(Command::Lock { caller: self.callers, wanted, reply }).unwrap();
        self.settle().await;
        (self.callers, answer)
    }

    async fn lock(&mut self, options: LockOptions) -> Lock {
        self.get_in_line(options).await.1.try_recv().unwrap().unwrap()
    }

    fn remembers(&self) -> [usize; 5] {
        let Keeper { lines, leases, renewals, endings, timers, .. } = &self.keeper;
        [lines.len(), leases.len(), renewals.len(), endings.len(), timers.len()]
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn nothing_is_remembered_of_locks_that_were_given_back() {
    let mut bench = Bench::new(&MemoryStore::new());
    for number in 0..100 {
        let options = LockOptions::new(format!("job {number}")).lock_at_most(LockOptions::MAX_LEASE);
        drop(bench.lock(options.wait(HOUR).auto_renew(number % 2 == 0)).await);
        bench.settle().await;
        assert_eq!(bench.remembers(), [0; 5], "after {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_remembered_of_callers_that_left_or_waited_in_vain() {
    let store = MemoryStore::new();
    let (mut bench, mut other) = (Bench::new(&store), Bench::new(&store));
    let _lock = other.lock(LockOptions::new("job").lock_at_most(24 * HOUR)).await;
    for wait in [Some(HOUR), Some(Duration::from_secs(1)), Some(Duration::ZERO), None] {
        let mut options = LockOptions::new("job");
        if let Some(wait) = wait {
            options = options.wait(wait);
        }
        let (first, _answer) = bench.get_in_line(options.clone()).await;
        let (second, _answer) = bench.get_in_line(options).await;
        bench.pass(Duration::from_secs(2)).await;
        for caller in [first, second] {
            let name = crate::LockName::new("job").unwrap();
            bench.commands.send(Command::Leave { name, caller }).unwrap();
        }
        bench.settle().await;
        assert_eq!(bench.remembers(), [0; 5], "after a wait of {wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_remembered_of_locks_that_were_lost_and_dropped() {
    let store = MemoryStore::new();
    let mut bench = Bench::new(&store);
    let lock = bench.lock(LockOptions::new("job").lock_at_most(HOUR).auto_renew(true)).await;
    bench.pass(Duration::from_secs(60)).await;
    store.clear();
    bench.pass(HOUR / 2).await;
    assert_eq!(lock.watch().lost().await, crate::LostReason::RowGone);
    drop(lock);
    bench.settle().await;
    assert_eq!(bench.remembers(), [0; 5]);
}

#[tokio::test(start_paused = true)]
async fn one_timer_serves_all_renewals() {
    let mut bench = Bench::new(&MemoryStore::new());
    let mut locks = Vec::new();
    // Each is due before those before it.
    for number in 0..50_u64 {
        let lease = Duration::from_secs(600 - 10 * number);
        locks.push(
            bench.lock(LockOptions::new(format!("job {number}")).lock_at_most(lease).auto_renew(true)).await,
        );
    }
    for _ in 0..1000 {
        bench.pass(Duration::from_secs(1)).await;
    }
    assert!(locks.iter().all(Lock::is_held));
    // A deadline for each lock, and one for all renewals.
    assert_eq!(bench.keeper.timers.len(), locks.len() + 1);
    assert!(bench.keeper.timers.at(&Timer::Renew).is_some());
}
