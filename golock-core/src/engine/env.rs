//! The engine's clock and its randomness, so that a test can give it others: the same seed, the same run.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::{ChaCha12Rng, SysRng};
use rand::{Rng, RngExt, SeedableRng, TryRng};
use tokio::time::Instant;

use crate::GrantId;

/// What the engine knows of the world besides its store.
#[derive(Debug)]
pub struct Env {
    pub(crate) clock: Clock,
    rng: ChaCha12Rng,
    is_seeded: bool,
}

impl Env {
    /// The machine's monotonic clock, randomness from the operating system.
    pub fn system() -> Self {
        Self { clock: Clock::at_rate(1.0), rng: rand::make_rng(), is_seeded: false }
    }

    /// Randomness from a seed, and a clock that runs at `rate` (1.01: one percent fast).
    pub fn seeded(seed: u64, rate: f64) -> Self {
        Self { clock: Clock::at_rate(rate), rng: ChaCha12Rng::seed_from_u64(seed), is_seeded: true }
    }

    /// A grant id that nobody else has: by the operating system each time, for a generator of our own goes on alike in two
    /// copies of a process (a machine's snapshot that is started twice, a fork), and they would share a lock.
    pub(crate) fn grant(&mut self) -> GrantId {
        let mut bytes = [0; 16];
        if self.is_seeded || SysRng.try_fill_bytes(&mut bytes).is_err() {
            self.rng.fill_bytes(&mut bytes);
        }
        GrantId::from_bytes(bytes)
    }

    /// A part of `full`, between a half and the whole: waiters that were refused together do not come back
    /// together.
    pub(crate) fn jittered(&mut self, full: Duration) -> Duration {
        full.mul_f64(self.rng.random_range(0.5..1.0))
    }
}

/// A point of the engine's clock: nanoseconds since it was made, and one more, so that an `Option` of it is as small. Each
/// lease has several. The last one, after 584 years, stands for whatever is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(NonZeroU64);

impl Tick {
    /// When the clock was made.
    pub(crate) const START: Self = Self(NonZeroU64::MIN);

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to here; zero if it is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// A monotonic clock that also counts the time the machine was suspended, and never the wall clock.
///
/// It is tokio's clock (so that tests can pause it) and, on Linux, what `CLOCK_BOOTTIME` is ahead of
/// `CLOCK_MONOTONIC` since the clock was made.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Arc<Origin>);

#[derive(Debug)]
struct Origin {
    started: Instant,
    suspended: Duration,
    rate: f64,
}

/// A sleep looks at the clock this often: tokio's timer stands still while the machine is suspended.
const LONGEST_NAP: Duration = Duration::from_secs(1);

impl Clock {
    fn at_rate(rate: f64) -> Self {
        Self(Arc::new(Origin { started: Instant::now(), suspended: suspended(), rate }))
    }

    pub(crate) fn now(&self) -> Tick {
        let run = self.0.started.elapsed() + suspended().saturating_sub(self.0.suspended);
        Tick::START.after(if self.0.rate == 1.0 { run } else { run.mul_f64(self.0.rate) })
    }

    pub(crate) async fn sleep_until(&self, until: Tick) {
        loop {
            let left = until.since(self.now());
            if left.is_zero() {
                return;
            }
            // Never zero, which a rate other than 1 may round to: a paused clock would stand still for ever.
            // And shortened before it is divided: `Duration::MAX` can't be.
            let nap = left.min(LONGEST_NAP).div_f64(self.0.rate);
            tokio::time::sleep(nap.max(Duration::from_micros(1))).await;
        }
    }

    /// `None` if `future` isn't done within `limit`; it is dropped then.
    pub(crate) async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let until = self.now().after(limit);
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep_until(until) => None,
        }
    }
}

/// How long the machine has been suspended since it was started, as far as anybody has looked. It never shrinks.
#[cfg(target_os = "linux")]
fn suspended() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    use std::sync::atomic::{AtomicU64, Ordering};
    /// In nanoseconds.
    static LONGEST: AtomicU64 = AtomicU64::new(0);
    /// The two clocks can't be read at once, and a suspension is longer than this.
    const NOISE: u64 = 1_000_000;

    let nanos = |clock| {
        let time = clock_gettime(clock);
        u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
    };
    // In this order an interruption between the two makes it seem shorter, never longer.
    let boot_time = nanos(ClockId::Boottime);
    let ahead = boot_time.saturating_sub(nanos(ClockId::Monotonic));
    let known = LONGEST.load(Ordering::Relaxed);
    if ahead <= known.saturating_add(NOISE) {
        return Duration::from_nanos(known);
    }
    Duration::from_nanos(LONGEST.fetch_max(ahead, Ordering::Relaxed).max(ahead))
}

#[cfg(not(target_os = "linux"))]
fn suspended() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As after a machine's snapshot was started twice, or a process has forked.
    #[test]
    fn copies_of_a_process_draw_different_grants() {
        let copy = || Env { is_seeded: false, ..Env::seeded(7, 1.0) };
        assert_ne!(copy().grant(), copy().grant());
        assert_eq!(Env::seeded(7, 1.0).grant(), Env::seeded(7, 1.0).grant(), "a test is the same each time");
    }

    /// The reading of two clocks can be interrupted between them, for as long as the machine is busy.
    #[test]
    fn clock_of_a_busy_machine_neither_jumps_nor_goes_back() {
        let (clock, began) = (Clock::at_rate(1.0), std::time::Instant::now());
        let readings = || {
            let (mut last, mut worst) = (Tick::START, Duration::ZERO);
            while began.elapsed() < Duration::from_millis(400) {
                let before = clock.0.started.elapsed();
                let now = clock.now();
                let after = clock.0.started.elapsed();
                assert!(now >= last, "went back by {:?}", last.since(now));
                last = now;
                let shown = now.since(Tick::START);
                worst = worst.max(before.saturating_sub(shown)).max(shown.saturating_sub(after));
            }
            worst
        };
        let worst = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(readings)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
        });
        assert!(worst < Duration::from_millis(1), "{worst:?} off");
    }
}
