//! golock at a terminal: what it draws, and what it asks.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use golock::{Place, Running};

mod golock;

fn hold(place: &Place, lock_by: &str) -> Running {
    let run = format!("run nightly --lock-by {lock_by}");
    let mut running = place.start(place.golock_sh(&run, "echo begun; cat"));
    assert_eq!(running.line(), "begun");
    running
}

/// golock asks whether to free the lock, of the holder that it has named.
fn asked_about(place: &Place, holder: &str) -> Running {
    let mut asking = place.start(place.golock_on_a_terminal("unlock nightly --force"));
    let line = asking.line();
    assert!(line.contains("is held by") && line.contains(holder), "{line}");
    asking
}

#[test]
fn watching_draws_on_a_terminal_that_has_no_size() {
    let place = Place::new();
    let _holder = hold(&place, "me");
    let said = place.start(place.golock_on_a_terminal("watch --count 1")).end();
    assert!(said.code == 0 && said.out.contains("\x1b[H1 lock is held"), "{said:?}");
    assert!(said.out.contains("nightly") && said.out.contains("\x1b[?1049l"), "{said:?}");
}

#[test]
fn unlocking_asks_and_does_what_is_answered() {
    let place = Place::new();
    let _holder = hold(&place, "me");
    for (answer, code, show) in [("n", 1, 0), ("", 1, 0), ("y", 0, 1)] {
        let mut asking = asked_about(&place, "me");
        asking.say(answer);
        let said = asking.end();
        assert_eq!((said.code, place.said("show nightly").code), (code, show), "{answer}: {said:?}");
    }
}

#[test]
fn whoever_agreed_to_the_end_of_one_holder_does_not_end_the_next() {
    let place = Place::new();
    let first = hold(&place, "first");
    let mut asking = asked_about(&place, "first");
    assert_eq!(first.end().code, 0);
    let _second = hold(&place, "second");
    asking.say("y");
    let said = asking.end();
    assert!(said.code == 1 && said.out.contains("nothing was done"), "{said:?}");
    assert!(place.said("show nightly").out.contains("second"));
}
