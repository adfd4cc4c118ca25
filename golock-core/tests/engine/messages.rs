//! What errors say: the lock, the backend and the operation, each once over the whole chain, with the source
//! kept; and nothing in any `Debug` that would let another act as the holder.

use std::error::Error as _;

use golock_core::store::Operation;
use golock_core::{Error, ErrorKind, LockOptions, Locker, StoreError, StoreErrorKind};
use tokio::time::sleep;

use crate::common::{Fate, LEASE, Scripted, options, secs};

/// The messages of an error and all its sources, as reporters print them.
fn chain(error: &Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        messages.push(error.to_string());
        source = error.source();
    }
    messages
}

fn once(error: &Error, text: &str) {
    let said = chain(error).join(": ");
    assert_eq!(said.matches(text).count(), 1, "{text:?} in {said:?}");
}

#[tokio::test(start_paused = true)]
async fn failure_of_the_store_names_lock_backend_and_operation_once() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    let lock = locker.try_lock(options("held")).await.unwrap();
    store.script(|_| Fate::refused(StoreErrorKind::Permission));
    let failures = [
        ("job", "acquire", locker.try_lock(options("job")).await.map(drop).unwrap_err()),
        ("held", "renew", lock.extend(LEASE).await.unwrap_err()),
        ("job", "inspect", locker.inspect("job").await.map(drop).unwrap_err()),
        ("job", "revoke", locker.revoke("job").await.map(drop).unwrap_err()),
        ("job", "force unlock", locker.force_unlock("job").await.map(drop).unwrap_err()),
        ("held", "release", lock.unlock().await.unwrap_err()),
    ];
    for (name, operation, error) in failures {
        assert_eq!(error.kind(), ErrorKind::Store);
        once(&error, &format!("lock {name:?}"));
        once(&error, "memory");
        once(&error, operation);
        once(&error, "permission denied");
        once(&error, "as the script says");
        assert_eq!(chain(&error).len(), 3);
    }
    for (operation, error) in
        [("list", locker.list("").await.map(drop)), ("purge", locker.purge(LEASE).await.map(drop))]
    {
        let error = error.unwrap_err();
        assert!(!error.to_string().contains("lock \""), "{error}");
        once(&error, operation);
        once(&error, "memory");
    }
}

#[tokio::test(start_paused = true)]
async fn call_that_takes_too_long_or_panics_says_so_once() {
    let store = Scripted::new();
    let locker = Locker::new(store.clone());
    for (fate, says) in
        [(Fate::HANG, "no answer within 5s"), (Fate::PANIC, "the store panicked: as the script says")]
    {
        store.script_for(Operation::Acquire, [fate]);
        let error = locker.try_lock(options("job")).await.unwrap_err();
        once(&error, says);
        once(&error, "lock \"job\"");
        once(&error, "memory");
        once(&error, "acquire");
    }
}

#[tokio::test(start_paused = true)]
async fn refusal_says_who_holds_since_when_and_for_how_long() {
    let store = Scripted::new();
    let (one, other) = (Locker::new(store.clone()), Locker::new(store));
    let lock = one.try_lock(options("job").lock_by("worker-1")).await.unwrap();
    sleep(secs(7)).await;
    let error = other.try_lock(options("job")).await.unwrap_err();
    let token = lock.token();
    assert_eq!(
        error.to_string(),
        format!("lock \"job\" is held: by \"worker-1\" for 7.0 s, 53.0 s remaining, token {token}")
    );
    assert!(error.is_held() && error.is_transient() && !error.is_lost());
    assert!(error.source().is_none());
    let error = one.try_lock(options("job")).await.unwrap_err();
    assert!(error.to_string().contains("by this locker as \"worker-1\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn lost_lock_says_how() {
    let locker = Locker::new(Scripted::new());
    let lock = locker.try_lock(options("job")).await.unwrap();
    sleep(LEASE).await;
    let error = lock.unlock().await.unwrap_err();
    assert_eq!(error.to_string(), "lock \"job\" was lost: its lease ran out");
    assert!(error.is_lost() && !error.is_held() && !error.is_transient());
}

#[tokio::test(start_paused = true)]
async fn wait_that_ended_in_failures_keeps_the_last_one() {
    let store = Scripted::new();
    store.script(|_| Fate::refused(StoreErrorKind::Unavailable));
    let error = Locker::new(store).lock(options("job").wait(secs(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WaitTimeout);
    assert!(error.is_transient() && !error.is_held());
    once(&error, "lock \"job\"");
    once(&error, "memory");
    once(&error, "acquire");
}

#[tokio::test(start_paused = true)]
async fn invalid_input_is_told_once() {
    let locker = Locker::new(Scripted::new());
    let error = locker.try_lock(LockOptions::new("")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(chain(&error), ["a lock name must not be empty"]);
    let error = locker.inspect("a\0b").await.unwrap_err();
    assert_eq!(chain(&error), ["a lock name must not contain NUL"]);
}

#[test]
fn names_with_quotes_and_controls_can_not_forge_a_message() {
    let source = StoreError::new("memory", Operation::List, StoreErrorKind::Other, "why");
    let error = Error::from(source);
    assert_eq!(chain(&error), ["the store failed", "memory: list failed: unexpected error", "why"]);
    let name = golock_core::LockName::new("a\"\r\n\u{1b}[31m").unwrap();
    assert_eq!(format!("{name:?}"), "\"a\\\"\\r\\n\\u{1b}[31m\"");
}

#[tokio::test(start_paused = true)]
async fn debug_shows_no_grant() {
    let store = Scripted::new();
    let locker = Locker::builder(store.clone()).build();
    let lock = locker.try_lock(options("job")).await.unwrap();
    let grant = store.calls(Operation::Acquire)[0].grants[0].to_string();
    let refusal = locker.try_lock(options("job")).await.unwrap_err();
    let info = locker.inspect("job").await.unwrap().unwrap();
    for shown in [
        format!("{lock:?}"),
        format!("{:?}", lock.watch()),
        format!("{locker:?}"),
        format!("{:?}", Locker::builder(store)),
        format!("{refusal:?}"),
        format!("{info:?}"),
    ] {
        assert!(!shown.contains(&grant), "{shown}");
    }
    assert!(format!("{lock:?}").contains("name: \"job\""));
}
