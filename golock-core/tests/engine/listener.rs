//! The listener lost and found again: waiting goes on without it, and nothing freed meanwhile is missed for long.

use golock_core::store::{Operation, Wakeup};
use golock_core::{Error, Lock, Locker, StoreErrorKind};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Fate, LEASE, Opening, Scripted, ms, name, options, secs, settle, until};

/// A lock held by one locker, and somebody who sleeps for it in another.
async fn sleeper(store: &Scripted) -> (Lock, Locker, JoinHandle<Lock>) {
    let (one, other) = (Locker::new(Scripted::on(store.server.clone())), Locker::new(store.clone()));
    let lock = one.try_lock(options("job").auto_renew(true)).await.unwrap();
    let waiter = tokio::spawn({
        let other = other.clone();
        async move { other.lock(options("job")).await.unwrap() }
    });
    settle().await;
    assert_eq!(store.listeners(), 1);
    (lock, other, waiter)
}

async fn has_it_within(waiter: JoinHandle<Lock>, limit: std::time::Duration) {
    drop(timeout(limit, waiter).await.expect("nobody told it, and it did not look").unwrap());
}

#[tokio::test(start_paused = true)]
async fn one_listener_serves_all_names_of_a_locker() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(Scripted::on(store.server.clone())), Locker::new(store.clone()));
    let mut pairs = Vec::new();
    for number in 0..20 {
        let name = format!("job {number}");
        let lock = one.try_lock(options(&name)).await.unwrap();
        let other = other.clone();
        pairs.push((lock, tokio::spawn(async move { other.lock(options(&name)).await.unwrap() })));
    }
    settle().await;
    assert_eq!(store.listeners(), 1);
    for (lock, waiter) in pairs {
        lock.unlock().await.unwrap();
        has_it_within(waiter, ms(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_listens_while_nobody_waits() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("job")).await.unwrap();
    locker.try_lock(options("job")).await.unwrap_err();
    lock.unlock().await.unwrap();
    assert_eq!((store.listeners(), store.count(Operation::MarkWaiting)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn deaf_waiter_looks_for_itself_each_second() {
    let store = Scripted::new();
    let (lock, _other, waiter) = sleeper(&store).await;
    store.plug_ears();
    store.tell(Wakeup::Deaf);
    sleep(secs(10)).await;
    let asked = store.count(Operation::Acquire);
    assert!((10..40).contains(&asked), "{asked}");
    lock.unlock().await.unwrap();
    has_it_within(waiter, ms(1001)).await;
}

/// The failover by which the listener was lost may have lost the mark, too.
#[tokio::test(start_paused = true)]
async fn mark_that_was_sent_before_the_listener_was_lost_is_set_again() {
    let store = Scripted::new();
    store.script_for(Operation::MarkWaiting, [Fate::slow(ms(40))]);
    let (lock, _other, waiter) = sleeper(&store).await;
    sleep(ms(1)).await;
    assert_eq!(store.count(Operation::MarkWaiting), 1, "on its way");
    store.tell(Wakeup::Deaf);
    store.tell(Wakeup::Listening);
    sleep(secs(1)).await;
    assert_eq!(store.count(Operation::MarkWaiting), 2);
    lock.unlock().await.unwrap();
    has_it_within(waiter, ms(1)).await;
}

#[tokio::test(start_paused = true)]
async fn waiter_that_was_deaf_sleeps_soundly_again() {
    let store = Scripted::new();
    let (lock, _other, waiter) = sleeper(&store).await;
    store.tell(Wakeup::Deaf);
    sleep(secs(10)).await;
    store.tell(Wakeup::Listening);
    settle().await;
    let calls = store.total();
    sleep(secs(20)).await;
    assert_eq!(store.total(), calls);
    lock.unlock().await.unwrap();
    has_it_within(waiter, ms(1)).await;
}

#[tokio::test(start_paused = true)]
async fn name_freed_before_the_listener_is_back_is_not_missed() {
    let store = Scripted::new();
    let (lock, _other, waiter) = sleeper(&store).await;
    store.plug_ears();
    lock.unlock().await.unwrap();
    store.tell(Wakeup::Listening);
    has_it_within(waiter, ms(1)).await;
}

/// The head's request was done before the name was freed, and is answered after the listener is back.
#[tokio::test(start_paused = true)]
async fn name_freed_while_a_deaf_head_asks_is_not_missed() {
    let store = Scripted::new();
    let (lock, _other, waiter) = sleeper(&store).await;
    store.plug_ears();
    store.tell(Wakeup::Deaf);
    let asked = store.count(Operation::Acquire);
    store.script_for(Operation::Acquire, [Fate::FINE.answering(ms(500))]);
    until("the head asks", || store.count(Operation::Acquire) > asked).await;
    settle().await;

    lock.unlock().await.unwrap();
    store.tell(Wakeup::Listening);
    store.unplug_ears();

    has_it_within(waiter, secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn listener_that_ends_is_opened_again() {
    let store = Scripted::new();
    let (lock, _other, waiter) = sleeper(&store).await;
    store.end_listeners();
    settle().await;
    assert_eq!(store.listeners(), 0);
    until("it is opened again", || store.listeners() == 1).await;
    sleep(secs(5)).await;
    lock.unlock().await.unwrap();
    has_it_within(waiter, ms(1)).await;
}

/// Whether it never comes to hear, or ends as soon as it does.
#[tokio::test(start_paused = true)]
async fn listener_that_keeps_ending_is_opened_ever_more_seldom() {
    keeps_ending(true).await;
    keeps_ending(false).await;
}

async fn keeps_ending(deaf: bool) {
    let store = Scripted::new();
    let (lock, _other, waiter) = sleeper(&store).await;
    if deaf {
        store.plug_ears();
    }
    let began = Instant::now();
    let mut opened = 0;
    while began.elapsed() < secs(60) {
        store.end_listeners();
        settle().await;
        until("it is opened again", || store.listeners() == 1).await;
        settle().await;
        opened += 1;
    }
    assert!((8..30).contains(&opened), "{opened} times in a minute");
    lock.unlock().await.unwrap();
    has_it_within(waiter, ms(1001)).await;
}

#[tokio::test(start_paused = true)]
async fn listener_that_panics_costs_no_lock() {
    let store = Scripted::new();
    let (lock, other, waiter) = sleeper(&store).await;
    let held = other.try_lock(options("other").auto_renew(true)).await.unwrap();
    store.panic_listeners();
    sleep(LEASE * 3).await;
    assert!(held.is_held(), "still renewed");
    lock.unlock().await.unwrap();
    has_it_within(waiter, secs(1)).await;
    held.unlock().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn store_that_can_not_open_a_listener_is_asked_instead() {
    for opening in [Opening::Fails, Opening::Panics] {
        let store = Scripted::new();
        store.open_listeners_so(opening);
        let (one, other) = (Locker::new(Scripted::on(store.server.clone())), Locker::new(store.clone()));
        let lock = one.try_lock(options("job")).await.unwrap();
        let waiter = tokio::spawn(async move { other.lock(options("job")).await.unwrap() });
        sleep(secs(10)).await;
        lock.unlock().await.unwrap();
        has_it_within(waiter, ms(1001)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn events_about_strangers_cost_nothing() {
    let store = Scripted::new();
    let (_lock, _other, _waiter) = sleeper(&store).await;
    let calls = store.total();
    for _ in 0..1000 {
        store.tell(Wakeup::Freed(name("stranger")));
    }
    settle().await;
    assert_eq!(store.total(), calls);
}

#[tokio::test(start_paused = true)]
async fn waiting_goes_on_if_it_can_not_be_marked() {
    let store = Scripted::new();
    store.script(|call| match call.operation {
        Operation::MarkWaiting => Fate::refused(StoreErrorKind::Permission),
        _ => Fate::FINE,
    });
    let (lock, _other, waiter) = sleeper(&store).await;
    sleep(secs(10)).await;
    let asked = store.count(Operation::Acquire);
    assert!((10..40).contains(&asked), "{asked}");
    lock.unlock().await.unwrap();
    has_it_within(waiter, ms(1001)).await;
}

#[tokio::test(start_paused = true)]
async fn mark_that_fails_hides_no_holder() {
    let store = Scripted::new();
    store.script(|call| match call.operation {
        Operation::MarkWaiting => Fate::refused(StoreErrorKind::Permission).answering(ms(300)),
        _ => Fate::FINE,
    });
    let (_lock, other, _waiter) = sleeper(&store).await;
    until("the head marks", || store.count(Operation::MarkWaiting) > 0).await;
    // Answered by the same failure.
    let refusal = other.try_lock(options("job")).await.unwrap_err();
    assert!(matches!(refusal, Error::Held { .. }), "{refusal}");
}

/// A server that takes over from another may never have heard of the marks.
#[tokio::test(start_paused = true)]
async fn marks_are_set_anew_once_the_listener_is_back() {
    let store = Scripted::new();
    let (_lock, _other, waiter) = sleeper(&store).await;
    let marked = store.count(Operation::MarkWaiting);
    assert_eq!(marked, 1);
    store.tell(Wakeup::Deaf);
    store.tell(Wakeup::Listening);
    settle().await;
    assert_eq!(store.count(Operation::MarkWaiting), marked + 1);
    // Some were missed, and nothing else.
    store.tell(Wakeup::Listening);
    settle().await;
    assert_eq!(store.count(Operation::MarkWaiting), marked + 1);
    waiter.abort();
}
