//! One task that locks names in every way there is, and writes down what it saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use golock_core::{Lock, LockName, LockOptions, LockWatch, Locker};
use rand::RngExt;
use rand::rngs::ChaCha12Rng;
use tokio::time;

use super::ledger::Ledger;
use crate::history::{End, Grant};

pub(super) struct Caller {
    pub(super) locker: Locker,
    pub(super) names: Arc<[LockName]>,
    pub(super) lease: Duration,
    pub(super) ledger: Arc<Ledger>,
    pub(super) chance: ChaCha12Rng,
    pub(super) over: Arc<AtomicBool>,
}

impl Caller {
    pub(super) async fn work(mut self) {
        while !self.over.load(Ordering::SeqCst) {
            time::sleep(self.some(40)).await;
            let name = self.names[self.chance.random_range(0..self.names.len())].clone();
            match self.chance.random_range(0..100) {
                0..66 => self.try_lock(name).await,
                66..76 => self.lock(name).await,
                76..80 => self.run(name).await,
                80..88 => self.lock_and_drop(name).await,
                88..98 => {
                    self.ledger.operation("inspect");
                    let _ = self.locker.inspect(name.as_str()).await;
                }
                _ => {
                    self.ledger.operation("list");
                    let _ = self.locker.list(name.as_str()).await;
                }
            }
        }
    }

    async fn try_lock(&mut self, name: LockName) {
        let (options, asked) = (self.options(&name), Instant::now());
        self.ledger.operation("try_lock");
        match self.locker.try_lock(options).await {
            Ok(lock) => self.hold(lock, asked).await,
            Err(error) => self.ledger.not_granted(&name, asked, &error),
        }
    }

    async fn lock(&mut self, name: LockName) {
        // A few are renewed for longer than their lease.
        let renewed = self.chance.random_ratio(1, 12);
        let options = self.options(&name).auto_renew(renewed).wait(self.lease);
        let asked = Instant::now();
        self.ledger.operation("lock");
        match self.locker.lock(options).await {
            Ok(lock) if renewed => self.hold_for(lock, asked, self.lease * 3 / 2).await,
            Ok(lock) => self.hold(lock, asked).await,
            Err(error) => self.ledger.not_granted(&name, asked, &error),
        }
    }

    async fn run(&mut self, name: LockName) {
        let (options, asked) = (self.options(&name).wait(self.lease), Instant::now());
        let (ledger, pause, begun) = (self.ledger.clone(), self.some(30), AtomicBool::new(false));
        self.ledger.operation("run");
        let ran = self.locker.run(options, |watch| {
            begun.store(true, Ordering::SeqCst);
            let mut work = Seen::new(&ledger, watch, asked);
            async move {
                work.write();
                time::sleep(pause).await;
                work.write();
                // When it ends, or is dropped on the way, its grant is written down.
            }
        });
        if let Err(error) = ran.await
            && !begun.load(Ordering::SeqCst)
        {
            self.ledger.not_granted(&name, asked, &error);
        }
    }

    /// Goes away while it waits, or just when it is served.
    async fn lock_and_drop(&mut self, name: LockName) {
        let (options, asked, moment) = (self.options(&name), Instant::now(), self.some(60));
        self.ledger.operation("lock, dropped");
        match time::timeout(moment, self.locker.lock(options)).await {
            Ok(Ok(lock)) => self.hold(lock, asked).await,
            Ok(Err(error)) => self.ledger.not_granted(&name, asked, &error),
            Err(_) => self.ledger.gave_up(&name, asked),
        }
    }

    /// Works under the lock, in one of the ways that programs have, and ends it in one of the ways that locks end.
    async fn hold(&mut self, lock: Lock, asked: Instant) {
        let ledger = self.ledger.clone();
        let mut seen = Seen::new(&ledger, lock.watch(), asked);
        seen.write();
        time::sleep(self.some(8)).await;
        seen.write();
        match self.chance.random_range(0..100) {
            0..60 => unlock(lock, seen).await,
            60..74 => {
                ledger.operation("drop");
                seen.look();
                drop(lock);
            }
            74..84 => {
                ledger.operation("extend");
                let _ = lock.extend(self.lease).await;
                seen.write();
                time::sleep(self.some(50)).await;
                seen.write();
                unlock(lock, seen).await;
            }
            84..90 => {
                ledger.operation("unlock, dropped");
                seen.look();
                let _ = time::timeout(self.some(6), lock.unlock()).await;
            }
            90..96 => {
                ledger.operation("extend, dropped");
                let _ = time::timeout(self.some(6), lock.extend(self.lease)).await;
                seen.write();
                unlock(lock, seen).await;
            }
            _ => self.hold_for_seen(lock, seen, self.lease).await,
        }
    }

    async fn hold_for(&mut self, lock: Lock, asked: Instant, duration: Duration) {
        let ledger = self.ledger.clone();
        let seen = Seen::new(&ledger, lock.watch(), asked);
        self.hold_for_seen(lock, seen, duration).await;
    }

    /// Keeps it until it is lost, or as long as this.
    async fn hold_for_seen(&mut self, lock: Lock, mut seen: Seen<'_>, duration: Duration) {
        let until = Instant::now() + duration;
        while lock.is_held() && Instant::now() < until && !self.over.load(Ordering::SeqCst) {
            seen.write();
            time::sleep(self.some(60)).await;
        }
        unlock(lock, seen).await;
    }

    fn options(&mut self, name: &LockName) -> LockOptions {
        let lease = self.lease / [1, 1, 2, 4][self.chance.random_range(0..4)];
        LockOptions::new(name.as_str()).lock_by("faults").lock_at_most(lease)
    }

    fn some(&mut self, most_ms: u64) -> Duration {
        Duration::from_micros(self.chance.random_range(0..most_ms * 1_000))
    }
}

async fn unlock(lock: Lock, mut seen: Seen<'_>) {
    seen.ledger.operation("unlock");
    seen.look();
    match lock.unlock().await {
        Ok(()) => seen.end = Some(End::GivenBack(Instant::now())),
        Err(error) if error.is_lost() => seen.ledger.ending("lost"),
        Err(_) => seen.ledger.ending("unlock failed"),
    }
}

/// A grant as its holder sees it; written down when it is dropped, wherever that is.
struct Seen<'a> {
    ledger: &'a Ledger,
    watch: LockWatch,
    grant: Grant,
    end: Option<End>,
}

impl<'a> Seen<'a> {
    fn new(ledger: &'a Ledger, watch: LockWatch, asked: Instant) -> Self {
        let received = Instant::now();
        ledger.ending("granted");
        let grant = Grant::new(watch.name().clone(), watch.token(), asked, received);
        let mut seen = Self { ledger, watch, grant, end: None };
        seen.look();
        seen
    }

    /// Whether it still believes, which it did before it looked if it does.
    fn look(&mut self) {
        let looked = Instant::now();
        if self.watch.is_held() {
            self.grant.believed = Some(looked);
        }
    }

    /// Writes to the register, as a holder that believes would.
    fn write(&mut self) {
        if self.watch.is_held() {
            self.ledger.write(&self.watch);
            self.look();
        }
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        self.grant.end = self.end.or_else(|| Some(End::Left(Instant::now())));
        self.ledger.granted(self.grant.clone());
    }
}
