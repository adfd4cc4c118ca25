//! Several lockers on one server, each behind a network that fails by chance: beliefs never overlap while the
//! clocks' rates differ by no more than the margin (S2), tokens only grow, no name stays taken, and the same
//! seed gives the same run.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use golock_core::{Env, FencingToken, Lock, LockWatch, Locker, MemoryStore};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt};
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Fate, Scripted, ms, options, secs};

const LOCKERS: u64 = 3;
const CALLERS: u64 = 4;
const ROUNDS: usize = 12;
const NAMES: [&str; 2] = ["job", "Job"];
/// Short, so that many run out.
const LEASES: [Duration; 3] = [ms(300), secs(2), secs(9)];

/// What one run has shown.
#[derive(Default)]
struct Seen {
    /// Every grant in the order in which callers got them, by name.
    grants: Vec<(usize, LockWatch)>,
    /// Pairs that believed in one name at one time.
    overlaps: usize,
    /// Grants whose token was not larger than that of the grant before.
    stale_tokens: usize,
}

impl Seen {
    /// A belief begins here; beliefs that ended don't come back. So it overlaps with those that are held now.
    fn granted(&mut self, name: usize, lock: &Lock) {
        let earlier = || self.grants.iter().filter(|(of, _)| *of == name).map(|(_, watch)| watch);
        self.overlaps += earlier().filter(|watch| watch.is_held()).count();
        self.stale_tokens += usize::from(earlier().any(|watch| watch.token() >= lock.token()));
        self.grants.push((name, lock.watch()));
    }
}

struct Outcome {
    seen: Seen,
    log: String,
}

/// One run: everything in it comes from the seed. Clocks run at rates within `rates`.
async fn run(seed: u64, rates: RangeInclusive<f64>, faults: bool) -> Outcome {
    let server = MemoryStore::starting_at(secs(1_700_000_000));
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut chance = Fate::rng(seed);
    let mut stores = Vec::new();
    let mut callers = Vec::new();
    for number in 0..LOCKERS {
        let store = Scripted::on(server.clone());
        let mut fates = Fate::rng(seed * 1_000 + number);
        store.script(move |_| if faults { Fate::by_chance(&mut fates) } else { Fate::slow(ms(20)) });
        let rate = chance.random_range(rates.clone());
        let env = Env::seeded(seed * 1_000 + 100 + number, rate);
        let locker = Locker::builder(store.clone()).env(env).build();
        stores.push(store);
        for caller in 0..CALLERS {
            let chance = Fate::rng(seed * 1_000 + 200 + number * CALLERS + caller);
            callers.push(tokio::spawn(work(locker.clone(), chance, seen.clone())));
        }
    }
    for caller in callers {
        caller.await.unwrap();
    }
    // No name stays taken: nothing that was given up comes back, and every release is repeated until it worked.
    let judge = Locker::builder(server).env(Env::seeded(seed, 1.0)).build();
    let began = Instant::now();
    for name in NAMES {
        let lock = timeout(secs(60), judge.lock(options(name))).await.expect("the name is never freed");
        lock.unwrap().unlock().await.unwrap();
    }
    assert!(began.elapsed() < secs(20), "freed late");
    let log = stores.iter().map(Scripted::log).collect::<Vec<_>>().join("\n");
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    Outcome { seen, log }
}

/// What a caller may do with a lock, by chance.
async fn work(locker: Locker, mut chance: ChaCha12Rng, seen: Arc<Mutex<Seen>>) {
    for _ in 0..ROUNDS {
        sleep(some(&mut chance, 800)).await;
        let name = chance.random_range(0..NAMES.len());
        let wanted = options(NAMES[name])
            .lock_at_most(LEASES[chance.random_range(0..LEASES.len())])
            .auto_renew(chance.random_bool(0.5))
            .wait(some(&mut chance, 8_000));
        let patience = some(&mut chance, 10_000);
        let asked = match chance.random_bool(0.2) {
            true => timeout(patience, locker.try_lock(wanted)).await,
            false => timeout(patience, locker.lock(wanted)).await,
        };
        let Ok(Ok(lock)) = asked else { continue };
        seen.lock().unwrap().granted(name, &lock);
        sleep(some(&mut chance, 1_500)).await;
        match chance.random_range(0..5) {
            0 => drop(lock),
            1 => drop(timeout(some(&mut chance, 50), lock.unlock()).await),
            2 => {
                let _ = lock.extend(some(&mut chance, 5_000)).await;
                sleep(some(&mut chance, 4_000)).await;
            }
            3 => drop(timeout(secs(10), lock.lost()).await),
            _ => drop(lock.unlock().await),
        }
    }
}

fn some(chance: &mut impl Rng, most_ms: u64) -> Duration {
    Duration::from_micros(chance.random_range(0..most_ms * 1_000))
}

/// How many seeds each test tries; `GOLOCK_SEEDS=1000` tries more, `GOLOCK_SEED=7` only that one.
fn seeds() -> RangeInclusive<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("GOLOCK_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("GOLOCK_SEEDS").unwrap_or(40),
    }
}

fn in_virtual_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(run)
}

#[test]
fn beliefs_never_overlap_while_rates_differ_within_the_margin() {
    for seed in seeds() {
        let Outcome { seen, log } = in_virtual_time(run(seed, 0.9905..=1.0095, true));
        assert!(seen.grants.len() > 10, "seed {seed}: only {} grants", seen.grants.len());
        assert_eq!((seen.overlaps, seen.stale_tokens), (0, 0), "GOLOCK_SEED={seed}\n{log}");
    }
}

#[test]
fn beliefs_overlap_once_rates_differ_by_more_than_the_margin() {
    let overlaps: usize =
        (1..=10).map(|seed| in_virtual_time(run(seed, 0.8..=0.9, true)).seen.overlaps).sum();
    assert!(overlaps > 0, "the check above can't fail");
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in [3, 4] {
        for faults in [false, true] {
            let once = in_virtual_time(run(seed, 0.99..=1.01, faults)).log;
            let again = in_virtual_time(run(seed, 0.99..=1.01, faults)).log;
            let differs = once.lines().zip(again.lines()).find(|(one, other)| one != other);
            assert!(once == again, "seed {seed}: {differs:?}");
            assert!(once.lines().count() > 200);
        }
    }
}

#[test]
fn another_seed_gives_another_run() {
    assert_ne!(in_virtual_time(run(5, 1.0..=1.0, true)).log, in_virtual_time(run(6, 1.0..=1.0, true)).log);
}

/// The bare case of S2: a holder with a slow clock, and another that takes over the moment it can.
async fn slow_holder_overlaps(rate: f64) -> bool {
    let store = Scripted::new();
    let slow = Locker::builder(store.clone()).env(Env::seeded(1, rate)).build();
    let next = Locker::builder(store).env(Env::seeded(2, 1.0)).build();
    let stale = slow.try_lock(options("job")).await.unwrap();
    let token: FencingToken = stale.token();
    let lock = next.lock(options("job")).await.unwrap();
    assert!(lock.token() > token);
    stale.is_held()
}

#[tokio::test(start_paused = true)]
async fn margin_covers_a_slow_clock_and_no_more() {
    for rate in [0.991, 0.995, 1.0, 1.05] {
        assert!(!slow_holder_overlaps(rate).await, "{rate}");
    }
    assert!(slow_holder_overlaps(0.985).await);
}
