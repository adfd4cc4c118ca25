//! Each metric moves when it should, and only then: over the store in memory, in virtual time, with a recorder.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use golock_core::metrics::{
    CONTENTION_TOTAL, ERRORS_TOTAL, HELD, HOLD_SECONDS, LOST_TOTAL, RENEWALS_TOTAL, WAIT_SECONDS, WAITING,
};
use golock_core::{ErrorKind, FencingToken, LockName, LockOptions, Locker, LostReason, MemoryStore};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::{advance, sleep, timeout};

const ALL: [&str; 8] =
    [CONTENTION_TOTAL, ERRORS_TOTAL, HELD, HOLD_SECONDS, LOST_TOTAL, RENEWALS_TOTAL, WAIT_SECONDS, WAITING];

#[tokio::test(start_paused = true)]
async fn a_lock_is_measured_from_asking_to_unlocking() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let locker = Locker::new(MemoryStore::new());

    let lock = locker.try_lock(options()).await.unwrap();
    assert_eq!(seen.value(HELD, ""), 1.0);
    assert_eq!(seen.value(WAITING, ""), 0.0);
    assert_eq!(seen.values(WAIT_SECONDS), [0.0]);
    assert!(seen.values(HOLD_SECONDS).is_empty());

    advance(secs(2)).await;
    lock.unlock().await.unwrap();
    assert_eq!(seen.value(HELD, ""), 0.0);
    assert_eq!(seen.values(HOLD_SECONDS), [2.0]);
    assert_eq!(seen.value(LOST_TOTAL, ""), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_counted_while_it_waits() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let (locker, other) = two_lockers();

    let lock = locker.try_lock(options()).await.unwrap();
    let waiting = tokio::spawn(async move { other.lock(options()).await });
    sleep(secs(3)).await;
    assert_eq!(seen.value(WAITING, ""), 1.0);

    lock.unlock().await.unwrap();
    let lock = waiting.await.unwrap().unwrap();
    assert_eq!(seen.value(WAITING, ""), 0.0);
    let waited = seen.values(WAIT_SECONDS);
    assert!(waited.len() == 2 && waited[1] >= 3.0, "{waited:?}");
    assert_eq!(seen.value(CONTENTION_TOTAL, ""), 0.0, "it got what it asked for");
    drop(lock);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_is_counted_no_more() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let (locker, other) = two_lockers();

    let _lock = locker.try_lock(options()).await.unwrap();
    assert!(timeout(secs(1), other.lock(options())).await.is_err());
    assert_eq!(seen.value(WAITING, ""), 0.0);
    assert_eq!(seen.values(WAIT_SECONDS).len(), 1, "it was granted nothing");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_contention_and_failures_are_not() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let (locker, other) = two_lockers();

    let lock = locker.try_lock(options()).await.unwrap();
    assert_eq!(seen.value(CONTENTION_TOTAL, ""), 0.0);
    other.try_lock(options()).await.unwrap_err();
    assert_eq!(seen.value(CONTENTION_TOTAL, ""), 1.0, "held by another");
    locker.try_lock(options()).await.unwrap_err();
    assert_eq!(seen.value(CONTENTION_TOTAL, ""), 2.0, "held by itself");
    other.lock(options().wait(secs(2))).await.unwrap_err();
    assert_eq!(seen.value(CONTENTION_TOTAL, ""), 3.0, "waited in vain");

    other.try_lock(LockOptions::new("")).await.unwrap_err();
    other.shutdown(Duration::ZERO).await;
    other.try_lock(options()).await.unwrap_err();
    assert_eq!(seen.value(CONTENTION_TOTAL, ""), 3.0);
    assert_eq!(seen.value(WAITING, ""), 0.0);
    drop(lock);
}

#[tokio::test(start_paused = true)]
async fn renewals_and_extensions_are_counted_one_a_lease() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let locker = Locker::new(MemoryStore::new());

    let renewed = |name| LockOptions::new(name).lock_at_most(secs(9)).auto_renew(true);
    let first = locker.try_lock(renewed("first")).await.unwrap();
    let second = locker.try_lock(renewed("second")).await.unwrap();
    sleep(secs(10)).await;
    assert_eq!(seen.value(RENEWALS_TOTAL, ""), 6.0, "two leases, every third of their length");
    first.extend(secs(60)).await.unwrap();
    assert_eq!(seen.value(RENEWALS_TOTAL, ""), 7.0);
    drop((first, second));
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_counted_once_however_often_it_is_seen() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let locker = Locker::new(MemoryStore::new());

    let lock = locker.try_lock(options().lock_at_most(secs(1))).await.unwrap();
    let watch = lock.watch();
    assert_eq!(lock.lost().await, LostReason::Expired);
    assert_eq!(lock.lost().await, LostReason::Expired);
    assert!(!lock.is_held() && !watch.is_held());
    assert_eq!(lock.unlock().await.unwrap_err().kind(), ErrorKind::Lost);
    sleep(secs(10)).await;

    assert_eq!(seen.value(LOST_TOTAL, "reason=Expired"), 1.0);
    assert_eq!(seen.value(LOST_TOTAL, ""), 1.0);
    assert_eq!(seen.value(HELD, ""), 0.0);
    assert_eq!(seen.values(HOLD_SECONDS).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn losses_are_told_apart_by_their_reason() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let locker = Locker::new(MemoryStore::new());

    let lock = locker.try_lock(options().auto_renew(true)).await.unwrap();
    locker.revoke("report").await.unwrap();
    lock.lost().await;
    assert_eq!(seen.value(LOST_TOTAL, "reason=Revoked"), 1.0);
    assert_eq!(seen.value(LOST_TOTAL, ""), 1.0);
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_store_are_counted_by_operation_and_kind() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let store = MemoryStore::new();
    let locker = Locker::new(store.clone());

    locker.try_lock(options()).await.unwrap().unlock().await.unwrap();
    assert_eq!(seen.value(ERRORS_TOTAL, ""), 0.0);
    store.set_token(&LockName::new("report").unwrap(), FencingToken::new(i64::MAX));
    locker.try_lock(options()).await.unwrap_err();
    assert_eq!(seen.value(ERRORS_TOTAL, "kind=TokenExhausted,operation=acquire"), 1.0);
    assert_eq!(seen.value(ERRORS_TOTAL, ""), 1.0);
}

/// Without renewals the store's answer to the unlock is the first to show it.
#[tokio::test(start_paused = true)]
async fn a_loss_that_the_unlock_finds_is_counted() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let store = MemoryStore::new();
    let locker = Locker::new(store.clone());

    let lock = locker.try_lock(options()).await.unwrap();
    locker.force_unlock("report").await.unwrap();
    assert!(lock.unlock().await.unwrap_err().is_lost());
    assert_eq!(seen.value(LOST_TOTAL, "reason=Revoked"), 1.0);

    let lock = locker.try_lock(options()).await.unwrap();
    store.delete(lock.name());
    drop(lock);
    sleep(secs(1)).await;
    assert_eq!(seen.value(LOST_TOTAL, "reason=RowGone"), 1.0);

    let work = locker.run(options(), async |_| locker.force_unlock("report").await.unwrap());
    assert!(work.await.unwrap_err().is_lost(), "another may have worked meanwhile");
    assert_eq!(seen.value(LOST_TOTAL, ""), 3.0);
    assert_eq!((seen.value(HELD, ""), seen.values(HOLD_SECONDS).len()), (0.0, 3));
}

#[tokio::test(start_paused = true)]
async fn names_are_grouped_only_as_the_builder_says() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let by_default = Locker::new(MemoryStore::new());
    let first_part = |name: &LockName| name.as_str().split(':').next().unwrap_or_default().to_owned();
    let grouped = Locker::builder(MemoryStore::new()).group(first_part).build();

    for locker in [&by_default, &grouped] {
        for name in ["report:1", "report:2", "import:1"] {
            locker.try_lock(LockOptions::new(name)).await.unwrap().unlock().await.unwrap();
        }
    }
    let waits = |labels| seen.measured(WAIT_SECONDS, labels).len();
    assert_eq!(waits("backend=memory,group=all"), 3);
    assert_eq!(waits("backend=memory,group=report"), 2);
    assert_eq!(waits("backend=memory,group=import"), 1);
    assert_eq!(seen.values(WAIT_SECONDS).len(), 6);
}

tokio::task_local! {
    static TENANT: String;
}

/// So it may look at what belongs to the caller's task; and if it panics, that is the caller's affair alone.
#[tokio::test(start_paused = true)]
async fn groups_are_made_in_the_callers_task() {
    let (recorder, seen) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let locker = Locker::builder(MemoryStore::new()).group(|_| TENANT.with(String::clone)).build();

    let lock = TENANT.scope("acme".to_owned(), locker.try_lock(options())).await.unwrap();
    assert_eq!(seen.value(HELD, "group=acme"), 1.0);
    let outside = tokio::spawn({
        let locker = locker.clone();
        async move { locker.try_lock(LockOptions::new("other")).await.map(drop) }
    });
    assert!(outside.await.unwrap_err().is_panic());
    lock.unlock().await.unwrap();
    TENANT
        .scope("acme".to_owned(), locker.try_lock(LockOptions::new("other")))
        .await
        .unwrap()
        .unlock()
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_metric_has_a_unit_and_a_line_in_the_documentation() {
    let (recorder, _) = Seen::new();
    let _while = metrics::set_default_local_recorder(&recorder);
    let store = MemoryStore::new();
    let locker = Locker::new(store.clone());
    // All of them move.
    let lock = locker.try_lock(options().lock_at_most(secs(1))).await.unwrap();
    lock.extend(secs(2)).await.unwrap();
    locker.try_lock(options()).await.unwrap_err();
    lock.lost().await;
    store.set_token(&LockName::new("report").unwrap(), FencingToken::new(i64::MAX));
    drop(lock);
    sleep(secs(5)).await;
    locker.try_lock(options()).await.unwrap_err();

    let mut told = Vec::new();
    for (key, unit, description, _) in recorder.snapshotter().snapshot().into_vec() {
        assert!(unit.is_some() && description.is_some(), "{key:?}");
        told.push(key.key().name().to_owned());
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, ALL);
    let documentation = include_str!("../README.md");
    for name in ALL {
        assert!(documentation.contains(&format!("| `{name}` |")), "{name} has no line");
    }
}

/// What the recorder was told. A snapshot of it takes what it tells out of it, so it is summed up here.
struct Seen {
    snapshotter: Snapshotter,
    sums: RefCell<BTreeMap<(String, String), f64>>,
    measured: RefCell<BTreeMap<(String, String), Vec<f64>>>,
}

impl Seen {
    fn new() -> (DebuggingRecorder, Self) {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        (recorder, Self { snapshotter, sums: RefCell::default(), measured: RefCell::default() })
    }

    /// A counter's or gauge's value, over all series with these labels among theirs.
    fn value(&self, name: &str, labels: &str) -> f64 {
        self.look();
        let sums = self.sums.borrow();
        sums.iter().filter(|(key, _)| key.0 == name && key.1.contains(labels)).map(|(_, sum)| sum).sum()
    }

    /// What a histogram was told, in all series.
    fn values(&self, name: &str) -> Vec<f64> {
        self.measured(name, "")
    }

    fn measured(&self, name: &str, labels: &str) -> Vec<f64> {
        self.look();
        let measured = self.measured.borrow();
        let series = measured.iter().filter(|(key, _)| key.0 == name && key.1.contains(labels));
        series.flat_map(|(_, values)| values.clone()).collect()
    }

    fn look(&self) {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let mut labels: Vec<_> =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            labels.sort_unstable();
            let key = (key.key().name().to_owned(), labels.join(","));
            match value {
                DebugValue::Counter(more) => *self.sums.borrow_mut().entry(key).or_default() += more as f64,
                DebugValue::Gauge(more) => *self.sums.borrow_mut().entry(key).or_default() += more.0,
                DebugValue::Histogram(values) => {
                    let mut measured = self.measured.borrow_mut();
                    measured.entry(key).or_default().extend(values.iter().map(|value| value.0));
                }
            }
        }
    }
}

fn two_lockers() -> (Locker, Locker) {
    let store = MemoryStore::new();
    (Locker::new(store.clone()), Locker::new(store))
}

fn options() -> LockOptions {
    LockOptions::new("report").lock_by("tester").lock_at_most(secs(60))
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
