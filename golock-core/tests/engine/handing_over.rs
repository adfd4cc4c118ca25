//! A name goes from one caller to the next in line in one call, and nobody else is shut out by that.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use golock_core::store::{Capabilities, Operation};
use golock_core::{Error, FencingToken, Locker, MemoryStore, StoreErrorKind};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Fate, LEASE, Scripted, ms, name, options, secs, settle, taken_soon};

const ROUND_TRIP: Duration = ms(40);

/// Each takes the name once, in turn; the tokens they got.
fn tasks(locker: &Locker, number: usize) -> Vec<JoinHandle<FencingToken>> {
    (0..number)
        .map(|_| {
            let locker = locker.clone();
            tokio::spawn(async move {
                let lock = locker.lock(options("job")).await.unwrap();
                let token = lock.token();
                lock.unlock().await.unwrap();
                token
            })
        })
        .collect()
}

async fn all<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn a_turn_costs_little_more_than_one_call() {
    let store = Scripted::new();
    store.script(|_| Fate::slow(ROUND_TRIP));
    let locker = Locker::new(store.clone());
    let began = Instant::now();
    let tokens = all(tasks(&locker, 200)).await;
    assert!(tokens.windows(2).all(|two| two[0] < two[1]), "{tokens:?}");
    assert!(store.total() <= 240, "{} calls for 200 turns", store.total());
    assert!(began.elapsed() <= ROUND_TRIP * 240, "{:?}", began.elapsed());
    assert_eq!(store.most_under_way(), 1);
}

/// Unlocked and granted by one answer: the belief counts from when it was asked for.
#[tokio::test(start_paused = true)]
async fn belief_counts_from_when_the_hand_over_was_sent() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job")).await.unwrap();
    let next = tokio::spawn({
        let locker = locker.clone();
        async move { locker.lock(options("job")).await.unwrap() }
    });
    settle().await;
    store.script(|_| Fate::slow(ROUND_TRIP));
    let sent = Instant::now();
    lock.unlock().await.unwrap();
    let next = next.await.unwrap();
    assert_eq!(sent.elapsed(), ROUND_TRIP);
    assert_eq!(next.remaining(), LEASE - LEASE / 100 - ROUND_TRIP);
    assert_eq!(store.count(Operation::HandOver), 1);
    assert_eq!(store.count(Operation::Release), 0);
}

/// Whatever becomes of the call, both of its halves are done, once.
#[tokio::test(start_paused = true)]
async fn hand_over_that_fails_is_done_in_two_steps() {
    for fate in [
        Fate::refused(StoreErrorKind::Conflict),
        Fate::refused(StoreErrorKind::Permission),
        Fate::refused(StoreErrorKind::TokenExhausted),
        Fate::error(StoreErrorKind::Other),
        Fate::BROKEN,
        Fate::BROKEN_AFTER,
        Fate::BROKEN.arriving(secs(3)),
        Fate::HANG,
        Fate::LOST_REPLY,
        Fate::HANG.arriving(secs(9)),
        Fate::PANIC,
    ] {
        let store = Scripted::new();
        let locker = Locker::new(store.clone());
        let first = locker.try_lock(options("job")).await.unwrap();
        let (token, next) = (first.token(), tasks(&locker, 1));
        settle().await;
        store.script_for(Operation::HandOver, [fate]);
        timeout(secs(8), first.unlock()).await.unwrap().unwrap_or_else(|error| panic!("{fate:?}: {error}"));
        let tokens = timeout(secs(8), all(next)).await.unwrap();
        assert!(tokens[0] > token, "{fate:?}");
        // Also what reached the server when all was over leaves nothing behind.
        sleep(secs(12)).await;
        let held = Locker::new(store.server.clone()).inspect("job").await.unwrap();
        assert_eq!(held, None, "{fate:?}: {}", store.log());
        let calls = store.total();
        sleep(LEASE * 3).await;
        assert_eq!(store.total(), calls, "{fate:?}: somebody still asks");
    }
}

/// A task that takes the name time after time, for so long each, and counts its turns with those of its locker.
fn never_has_enough<const LOCKERS: usize>(
    locker: &Locker,
    work: Duration,
    served: &Arc<Mutex<[u32; LOCKERS]>>,
    at: usize,
) -> JoinHandle<()> {
    let (locker, served) = (locker.clone(), served.clone());
    tokio::spawn(async move {
        loop {
            let lock = locker.lock(options("job")).await.unwrap();
            served.lock().unwrap()[at] += 1;
            sleep(work).await;
            lock.unlock().await.unwrap();
        }
    })
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_elsewhere_get_their_turn() {
    let store = Scripted::new();
    store.script(|_| Fate::slow(ROUND_TRIP));
    let (one, other) = (Locker::new(store.clone()), Locker::new(store.clone()));
    let served = Arc::new(Mutex::new([0_u32; 2]));
    let mut busy = Vec::new();
    for (at, locker) in [one, other].into_iter().enumerate() {
        busy.extend((0..4).map(|_| never_has_enough(&locker, ms(0), &served, at)));
    }
    sleep(secs(120)).await;
    busy.iter().for_each(JoinHandle::abort);
    let [one, other] = *served.lock().unwrap();
    assert!(one.min(other) * 2 >= one.max(other), "{one} against {other}");
    assert!(one + other > 500, "{one} and {other}");
}

/// They can leave no mark, for nothing would wake them.
#[tokio::test(start_paused = true)]
async fn those_who_look_now_and_then_get_their_turn_too() {
    let mute = Capabilities::new("mute", 500, secs(5), false, i64::MAX);
    // How long a call takes, and how long the name is held.
    for (round_trip, work, mute) in [
        (ms(2), ms(0), mute.clone().handing_over()),
        (ms(40), ms(0), mute.clone().handing_over()),
        (ms(2), secs(1), mute.clone().handing_over()),
        (ms(2), ms(0), mute.clone()),
        (ms(2), secs(1), mute),
    ] {
        let server = MemoryStore::starting_at(secs(1_700_000_000));
        let served = Arc::new(Mutex::new([0_u32; 4]));
        let mut busy = Vec::new();
        for at in 0..4 {
            let store = Scripted::with(server.clone(), mute.clone());
            store.script(move |_| Fate::slow(round_trip));
            let locker = Locker::new(store);
            busy.extend((0..4).map(|_| never_has_enough(&locker, work, &served, at)));
        }
        let turn = round_trip * 2 + work;
        sleep(turn * 5_000).await;
        busy.iter().for_each(JoinHandle::abort);
        let served = *served.lock().unwrap();
        let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
        assert!(least * 2 >= *most, "{served:?}, with {work:?} of work each");
        assert!(served.iter().sum::<u32>() > 2_500, "{served:?}, with {work:?} of work each");
    }
}

/// Now and then the name is given back and left alone for a while: nobody waits out that while whose own wait is over, and those for
/// whom it is left alone get their turn all the same.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_does_not_go_on_while_others_get_their_turn() {
    let mute = Capabilities::new("mute", 500, secs(5), false, i64::MAX).handing_over();
    let server = MemoryStore::starting_at(secs(1_700_000_000));
    let served = Arc::new(Mutex::new([0_u32; 2]));
    let (mut lockers, mut busy) = (Vec::new(), Vec::new());
    for at in 0..2 {
        let store = Scripted::with(server.clone(), mute.clone());
        store.script(|_| Fate::slow(ROUND_TRIP));
        let locker = Locker::new(store);
        busy.extend((0..3).map(|_| never_has_enough(&locker, secs(1), &served, at)));
        lockers.push(locker);
    }
    while served.lock().unwrap().iter().sum::<u32>() < 1_000 {
        let asked = Instant::now();
        drop(lockers[0].try_lock(options("job")).await);
        assert!(asked.elapsed() <= ROUND_TRIP * 3, "{:?}", asked.elapsed());
        sleep(ms(7)).await;
    }
    busy.iter().for_each(JoinHandle::abort);
    let [one, other] = *served.lock().unwrap();
    assert!(one.min(other) * 2 >= one.max(other), "{one} against {other}");
}

/// Nobody else is there, or not any more.
#[tokio::test(start_paused = true)]
async fn a_name_is_not_left_to_nobody_for_long() {
    let server = MemoryStore::starting_at(secs(1_700_000_000));
    let mute = Capabilities::new("mute", 500, secs(5), false, i64::MAX).handing_over();
    let store = Scripted::with(server.clone(), mute);
    store.script(|_| Fate::slow(ROUND_TRIP));
    let locker = Locker::new(store.clone());
    let stranger = Locker::new(server).try_lock(options("job")).await.unwrap();
    let first = tasks(&locker, 2_000);
    settle().await;
    stranger.unlock().await.unwrap();
    all(first).await;
    let began = Instant::now();
    all(tasks(&locker, 1_000)).await;
    assert!(began.elapsed() <= ROUND_TRIP * 1_150, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn lock_at_least_is_kept_from_the_next() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let began = Instant::now();
    let first = locker.try_lock(options("job").lock_at_least(secs(5))).await.unwrap();
    let next = tasks(&locker, 1);
    settle().await;
    first.unlock().await.unwrap();
    assert_eq!(began.elapsed(), ms(0));
    all(next).await;
    assert!((secs(5)..secs(6)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// The next goes away while the name is on its way to it, at each stage.
#[tokio::test(start_paused = true)]
async fn next_that_has_gone_leaves_the_name_to_the_one_after_it() {
    for stage in 0..=8 {
        let store = Scripted::new();
        let locker = Locker::new(store.clone());
        let first = locker.try_lock(options("job")).await.unwrap();
        let mut waiting = tasks(&locker, 1);
        settle().await;
        waiting.extend(tasks(&locker, 1));
        settle().await;
        store.script(|_| Fate::slow(ROUND_TRIP));
        let unlocking = tokio::spawn(first.unlock());
        sleep(ROUND_TRIP * stage / 8).await;
        waiting.remove(0).abort();
        unlocking.await.unwrap().unwrap();
        timeout(secs(1), all(waiting)).await.unwrap_or_else(|_| panic!("at {stage}\n{}", store.log()));
        taken_soon(&Locker::new(store.server.clone()), "job").await.unlock().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn lock_that_was_taken_away_is_told_and_the_next_is_served() {
    let store = Scripted::new();
    let (locker, operator) = (Locker::new(store.clone()), Locker::new(store.server.clone()));
    let first = locker.try_lock(options("job")).await.unwrap();
    let next = tasks(&locker, 1);
    settle().await;
    operator.force_unlock("job").await.unwrap().unwrap();
    let error = first.unlock().await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    timeout(secs(1), all(next)).await.unwrap();
    store.server.delete(&name("job"));
    taken_soon(&locker, "job").await.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn shutdown_hands_nothing_over() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let first = locker.try_lock(options("job")).await.unwrap();
    let next = tokio::spawn({
        let locker = locker.clone();
        async move { locker.lock(options("job")).await }
    });
    settle().await;
    store.script(|_| Fate::slow(ROUND_TRIP));
    let unlocking = tokio::spawn(first.unlock());
    settle().await;
    assert_eq!(locker.shutdown(secs(10)).await, 0);
    unlocking.await.unwrap().unwrap();
    assert!(matches!(next.await.unwrap(), Err(Error::Closed)));
    settle().await;
    assert_eq!(Locker::new(store.server.clone()).inspect("job").await.unwrap(), None);
}
