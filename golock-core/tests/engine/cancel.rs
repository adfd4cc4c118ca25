//! Every public future dropped at each of its polls, and at each stage of the calls behind it: the name is free
//! long before its lease ends, and nothing is left in line (S17a).

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use golock_core::store::Operation;
use golock_core::{Lock, Locker};
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Fate, LEASE, SOON, Scripted, ms, options, secs, settle, taken_soon};

const ROUND_TRIP: Duration = ms(40);

/// Where a future is dropped.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// As soon as it was polled this often and is still pending.
    After(usize),
    /// When it would be polled once more: its answer is there, and not taken.
    Before(usize),
    /// When this much time has passed.
    At(Duration),
}

/// `None` if the future was dropped before it was ready.
async fn cut<F: Future>(future: F, at: Cut) -> Option<F::Output> {
    let (mut future, mut polls) = (Box::pin(future), 0);
    match at {
        Cut::At(Duration::ZERO) => None,
        Cut::At(time) => timeout(time, future).await.ok(),
        Cut::After(0) | Cut::Before(0) => None,
        Cut::After(limit) | Cut::Before(limit) => {
            poll_fn(|cx| {
                if polls == limit && matches!(at, Cut::Before(_)) {
                    return Poll::Ready(None);
                }
                polls += 1;
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => Poll::Ready(Some(output)),
                    Poll::Pending if polls == limit && matches!(at, Cut::After(_)) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        }
    }
}

/// All cuts, until one of each kind comes after the end.
fn cuts() -> [Vec<Cut>; 3] {
    [
        (0..10).map(Cut::After).collect(),
        (0..10).map(Cut::Before).collect(),
        (0..40).map(|step| Cut::At(ms(5) * step)).collect(),
    ]
}

/// What a case works on: calls of `locker` take [`ROUND_TRIP`], those of `other` no time.
struct World {
    store: Scripted,
    locker: Locker,
    other: Locker,
}

impl World {
    fn new() -> Self {
        let store = Scripted::new();
        store.script(|_| Fate::slow(ROUND_TRIP));
        let other = Locker::new(store.server.clone());
        Self { locker: Locker::new(store.clone()), other, store }
    }

    async fn lock(&self) -> Lock {
        self.locker.try_lock(options("job")).await.unwrap()
    }

    /// The name can be had soon, and nobody is left who would ask for it.
    async fn is_left_clean(&self, cut: Cut) {
        let began = Instant::now();
        taken_soon(&self.other, "job").await.unlock().await.unwrap();
        assert!(began.elapsed() < secs(1), "{cut:?}: freed after {:?}", began.elapsed());
        sleep(SOON).await;
        let calls = self.store.total();
        sleep(LEASE * 2).await;
        assert_eq!(self.store.total(), calls, "{cut:?}: somebody still asks\n{}", self.store.log());
        self.lock().await.unlock().await.unwrap();
    }
}

/// Runs `case` with every cut. It says whether the future came to its end.
async fn everywhere(mut case: impl AsyncFnMut(&World, Cut) -> bool) {
    for kind in cuts() {
        let (mut completed, mut dropped) = (0, 0);
        for at in kind {
            let world = World::new();
            match case(&world, at).await {
                true => completed += 1,
                false => dropped += 1,
            }
            world.is_left_clean(at).await;
        }
        assert!(completed > 0, "never came to its end");
        assert!(dropped > 0, "was never dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn try_lock_can_be_dropped_anywhere() {
    everywhere(async |world, at| cut(world.locker.try_lock(options("job")), at).await.is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn lock_can_be_dropped_anywhere() {
    everywhere(async |world, at| cut(world.locker.lock(options("job")), at).await.is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn lock_that_waits_can_be_dropped_anywhere() {
    everywhere(async |world, at| {
        let held = world.other.try_lock(options("job")).await.unwrap();
        let release = async {
            sleep(ms(100)).await;
            held.unlock().await.unwrap();
        };
        tokio::join!(cut(world.locker.lock(options("job")), at), release).0.is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lock_behind_another_in_line_can_be_dropped_anywhere() {
    everywhere(async |world, at| {
        let held = world.lock().await;
        let first = async { world.locker.lock(options("job")).await.unwrap().unlock().await.unwrap() };
        let release = async { held.unlock().await.unwrap() };
        let second = async {
            settle().await;
            cut(world.locker.lock(options("job")), at).await
        };
        tokio::join!(first, second, release).1.is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lock_that_waits_in_vain_can_be_dropped_anywhere() {
    everywhere(async |world, at| {
        let _held = world.other.try_lock(options("job")).await.unwrap();
        let ended = cut(world.locker.lock(options("job").wait(ms(100))), at).await;
        ended.is_some_and(|outcome| outcome.is_err())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn run_can_be_dropped_anywhere() {
    everywhere(async |world, at| {
        let work = async |_| tokio::task::yield_now().await;
        cut(world.locker.run(options("job").auto_renew(true), work), at).await.is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unlock_can_be_dropped_anywhere() {
    everywhere(async |world, at| {
        let lock = world.locker.try_lock(options("job").auto_renew(true)).await.unwrap();
        cut(lock.unlock(), at).await.is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn extend_can_be_dropped_anywhere() {
    everywhere(async |world, at| {
        let lock = world.lock().await;
        cut(lock.extend(LEASE * 2), at).await.is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lost_can_be_dropped_anywhere() {
    everywhere(async |world, at| {
        let lock = world.lock().await;
        let forcing = async {
            let _ = lock.extend(LEASE).await;
            world.other.force_unlock("job").await.unwrap();
            lock.extend(LEASE).await.unwrap_err();
        };
        tokio::join!(cut(lock.lost(), at), forcing).0.is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_of_an_operator_can_be_dropped_anywhere() {
    everywhere(async |world, at| cut(world.locker.inspect("job"), at).await.is_some()).await;
    everywhere(async |world, at| cut(world.locker.list(""), at).await.is_some()).await;
    everywhere(async |world, at| cut(world.locker.purge(LEASE), at).await.is_some()).await;
    everywhere(async |world, at| cut(world.locker.revoke("job"), at).await.is_some()).await;
    everywhere(async |world, at| {
        let _lock = world.lock().await;
        cut(world.locker.force_unlock("job"), at).await.is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_can_be_dropped_anywhere_and_goes_on() {
    for at in cuts().into_iter().flatten() {
        let World { store, locker, other } = World::new();
        let lock = locker.try_lock(options("job")).await.unwrap();
        let release = async move {
            sleep(ms(50)).await;
            drop(lock);
        };
        tokio::join!(cut(locker.shutdown(LEASE), at), release);
        taken_soon(&other, "job").await.unlock().await.unwrap();
        let calls = store.total();
        sleep(LEASE).await;
        assert_eq!(store.total(), calls);
        let begun = !matches!(at, Cut::After(0) | Cut::Before(0) | Cut::At(Duration::ZERO));
        assert_eq!(locker.try_lock(options("job")).await.is_err(), begun, "{at:?}");
    }
}

/// The lock is granted, and its answer is never taken: there was no work for it to guard, so not even its
/// `lock_at_least` keeps the name.
#[tokio::test(start_paused = true)]
async fn lock_that_nobody_took_does_not_keep_its_at_least() {
    for kind in cuts() {
        for at in kind {
            let world = World::new();
            let wanted = options("job").lock_at_least(LEASE);
            if cut(world.locker.try_lock(wanted), at).await.is_some() {
                break;
            }
            world.is_left_clean(at).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_callers_that_come_and_go_leave_nothing() {
    let world = World::new();
    let callers: Vec<_> = (0..300)
        .map(|number| {
            let locker = world.locker.clone();
            tokio::spawn(async move {
                sleep(ms(number * 7 % 100)).await;
                let _ = timeout(ms(number * 13 % 200), locker.lock(options("job"))).await;
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    world.is_left_clean(Cut::At(ms(0))).await;
    let asked = world.store.count(Operation::Acquire);
    assert!(asked <= 310, "{asked}");
}
