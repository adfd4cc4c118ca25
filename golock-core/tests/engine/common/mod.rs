//! What all tests of the engine share.

mod events;
mod fate;
mod scripted;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use golock_core::{Lock, LockName, LockOptions, Locker};
use tokio::time::{sleep, timeout};

pub(crate) use self::events::Events;
pub(crate) use self::fate::Fate;
pub(crate) use self::scripted::{Opening, Scripted};

/// The lease of a test that isn't about its length: nothing may wait for its end.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// Much less than [`LEASE`], and more than a call may take.
pub(crate) const SOON: Duration = Duration::from_secs(12);

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn name(name: &str) -> LockName {
    LockName::new(name).unwrap()
}

pub(crate) fn options(name: &str) -> LockOptions {
    LockOptions::new(name).lock_by("tester").lock_at_most(LEASE)
}

/// Waits for a condition, in virtual time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let polling = async {
        while !holds() {
            sleep(ms(1)).await;
        }
    };
    timeout(secs(3600), polling).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Lets everything run that can run without time passing.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Polls once, and wakes nobody.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The name can be had long before a lease of [`LEASE`] is over.
pub(crate) async fn taken_soon(locker: &Locker, name: &str) -> Lock {
    match locker.lock(options(name).wait(SOON)).await {
        Ok(lock) => lock,
        Err(error) => panic!("{name} was not freed: {error}"),
    }
}
