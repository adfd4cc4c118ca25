//! A caller: what a service may do with a lock, by chance, and what it must find.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use golock_core::{Lock, LockWatch, Locker, LostReason};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::judged::Judged;
use crate::common::{ms, options, poll_once, secs};

pub(super) const NAMES: [&str; 3] = ["job", "Job", "job "];
/// Short, so that many run out.
const LEASES: [Duration; 3] = [ms(300), secs(2), secs(9)];
/// How late a timer may be, all in all.
const TIMERS: Duration = ms(3);

pub(super) struct Caller {
    pub(super) node: usize,
    pub(super) locker: Locker,
    pub(super) server: Judged,
    pub(super) chance: ChaCha12Rng,
    pub(super) rounds: usize,
}

impl Caller {
    pub(super) async fn work(mut self) {
        let mut watchers = JoinSet::new();
        for _ in 0..self.rounds {
            sleep(some(&mut self.chance, 800)).await;
            let Some(lock) = self.ask().await else { continue };
            self.server.ledger().handed_over(self.node, &lock);
            let unlocked = Arc::new(AtomicBool::new(false));
            watchers.spawn(watch_over(lock.watch(), self.server.clone(), unlocked.clone()));
            sleep(some(&mut self.chance, 1_500)).await;
            self.end(lock, &unlocked).await;
        }
    }

    async fn ask(&mut self) -> Option<Lock> {
        let chance = &mut self.chance;
        let lease = LEASES[chance.random_range(0..LEASES.len())];
        let at_least = if chance.random_bool(0.2) { lease / 3 } else { Duration::ZERO };
        let wanted = options(NAMES[chance.random_range(0..NAMES.len())])
            .lock_at_most(lease)
            .lock_at_least(at_least)
            .auto_renew(chance.random_bool(0.5))
            .wait(some(chance, 8_000));
        let patience = some(chance, 10_000);
        let asked = match chance.random_bool(0.2) {
            true => timeout(patience, self.locker.try_lock(wanted)).await,
            false => timeout(patience, self.locker.lock(wanted)).await,
        };
        asked.ok()?.ok()
    }

    async fn end(&mut self, lock: Lock, unlocked: &AtomicBool) {
        let chance = &mut self.chance;
        match chance.random_range(0..6) {
            0 => drop(lock),
            1 => drop(timeout(some(chance, 50), lock.unlock()).await),
            2 => {
                let _ = lock.extend(some(chance, 5_000)).await;
                sleep(some(chance, 4_000)).await;
            }
            3 => drop(timeout(secs(10), lock.lost()).await),
            _ => {
                let watch = lock.watch();
                let outcome = lock.unlock().await;
                unlocked.store(outcome.is_ok(), Ordering::Relaxed);
                self.server.ledger().unlocked(&watch, &outcome);
            }
        }
    }
}

/// A loss is told in time, once and for all, and not after an unlock.
async fn watch_over(watch: LockWatch, server: Judged, unlocked: Arc<AtomicBool>) {
    let reason = watch.lost().await;
    let (now, mut ledger) = (Instant::now(), server.ledger());
    let mut wrong = Vec::new();
    if watch.is_held() {
        wrong.push("S9 lost, and held");
    }
    if poll_once(pin!(watch.lost())) != Poll::Ready(reason) {
        wrong.push("S9 lost, and then not");
    }
    if unlocked.load(Ordering::Relaxed) {
        wrong.push("S9 lost after its unlock");
    }
    let late = ledger.promised(&watch).is_some_and(|until| now > until + TIMERS);
    if reason == LostReason::Expired && late && ledger.frozen_at.is_none_or(|frozen| now > frozen + TIMERS) {
        wrong.push("S9 told too late");
    }
    ledger.blame(watch.name(), wrong, &format_args!("{:?} {reason:?}", watch.token()));
}

pub(super) fn some(chance: &mut impl Rng, most_ms: u64) -> Duration {
    Duration::from_micros(chance.random_range(0..most_ms * 1_000))
}
