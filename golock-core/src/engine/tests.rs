//! What the keeper remembers: nothing of what has ended. A service locks and unlocks for months.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};

use super::holding::extended_nothing;
use super::timers::Timer;
use super::{Calls, Command, Commands, Env, Keeper, Series, Telemetry};
use crate::store::{RenewAnswer, RenewRequest};
use crate::{Error, FencingToken, GrantId, Lock, LockName, LockOptions, LockStore, MemoryStore};

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
            self.keeper.flush();
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
        let series = Series { backend: "memory", group: "all".into() };
        self.commands.send(Command::Lock { caller: self.callers, wanted, series, reply }).unwrap();
        self.settle().await;
        (self.callers, answer)
    }

    async fn lock(&mut self, options: LockOptions) -> Lock {
        self.get_in_line(options).await.1.try_recv().unwrap().unwrap().taken()
    }

    fn remembers(&self) -> [usize; 7] {
        let Keeper { lines, locals, leases, deadlines, renewals, endings, timers, .. } = &self.keeper;
        let held = [locals.len(), leases.len(), deadlines.len(), renewals.len()];
        [held[0], held[1], held[2], held[3], lines.len(), endings.len(), timers.len()]
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
        assert_eq!(bench.remembers(), [0; 7], "after {number}");
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
        assert_eq!(bench.remembers(), [0; 7], "after a wait of {wait:?}");
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
    assert_eq!(bench.remembers(), [0; 7]);
}

/// Ten thousand locks are ten thousand times this, and the few bytes of their entries in ordered sets.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_lease_takes_few_bytes() {
    use super::holding::Holding;
    use super::local::Local;

    let sizes = [size_of::<Lock>(), size_of::<super::Lease>(), size_of::<Holding>(), size_of::<Local>()];
    let most = [24, 200, 56, 17];
    assert!(sizes.iter().zip(most).all(|(size, most)| *size <= most), "{sizes:?}, and {most:?} at most");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_nobody_waits_for_has_no_line() {
    let mut bench = Bench::new(&MemoryStore::new());
    let _lock = bench.lock(LockOptions::new("job").lock_at_most(24 * HOUR)).await;
    let lines = |bench: &Bench| (bench.keeper.lines.len(), bench.keeper.locals.len());
    assert_eq!(lines(&bench), (0, 1));
    let (_, mut answer) = bench.get_in_line(LockOptions::new("job").wait(HOUR)).await;
    assert_eq!(lines(&bench), (1, 1));
    bench.pass(2 * HOUR).await;
    assert!(answer.try_recv().unwrap().unwrap_err().holder().unwrap().by_self);
    assert_eq!(lines(&bench), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn two_timers_serve_all_leases() {
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
    // One for all deadlines, and one for all renewals.
    assert_eq!(bench.keeper.timers.len(), 2);
    assert!([Timer::Deadline, Timer::Renew].iter().all(|timer| bench.keeper.timers.at(timer).is_some()));
}

/// MongoDB counts in milliseconds, and takes one off besides.
#[test]
fn what_a_store_rounds_away_is_no_lease_that_stands_still() {
    let [short, long] = [50, 60_000].map(Duration::from_millis);
    let request = |lease| {
        let (name, grant) = (LockName::new("job").unwrap(), GrantId::from_bytes([1; 16]));
        RenewRequest::new(name, grant, FencingToken::new(1), lease)
    };
    let nothing = |lease, remaining| {
        let answer = RenewAnswer::renewed(Duration::from_millis(remaining));
        extended_nothing(&request(lease), &answer, Duration::from_millis(1))
    };
    assert!(!nothing(short, 47) && nothing(short, 40));
    assert!(!nothing(long, 59_500) && nothing(long, 40_000));
}
