//! Nodes on one server (one that wakes who waits, or not), each with a clock and a network of its own, in a storm: calls are
//! delayed, lost, done late or answered with an error, the server restarts and once in a while forgets all, nodes stand still
//! and die, an operator interferes. Every step of the server and all that callers see goes into a ledger that knows the promises
//! (S1 to S3, S5 to S9, S13 to S18); then the storm ends, and everybody must get on (L1 to L3). The same seed gives the same run.
//!
//! * [`run`]: one run; [`seeds`]: which are run; `corpus.txt`: those that once found something;
//! * [`node`], [`caller`]: who takes part; [`storm`]: what happens to them; [`calm`]: what must hold afterwards;
//! * [`judged`]: the server; [`ledger`]: who was promised what.

mod caller;
mod calm;
mod judged;
mod ledger;
mod node;
mod run;
mod seeds;
mod storm;

use golock_core::{Env, FencingToken, Locker};

use self::judged::Wrong;
use self::run::Plan;
use crate::common::{Scripted, options};

#[test]
fn promises_hold_in_any_storm() {
    let totals = seeds::run_all();
    println!("{} runs, {} grants", totals.runs(), totals.grants());
    assert!(totals.grants() > totals.runs() * 10, "nothing happens: {totals:?}");
}

#[test]
fn beliefs_overlap_once_rates_differ_by_more_than_the_margin() {
    let outcomes = (1..=10).map(|seed| Plan { rates: 0.8..=0.9, ..Plan::of(seed) }.run());
    assert!(outcomes.map(|outcome| outcome.overlaps).sum::<usize>() > 0, "the check above can't fail");
}

#[test]
fn wrong_servers_are_found_out() {
    for (wrong, property) in [
        (Wrong::GrantsWhatIsHeld, "S1 "),
        (Wrong::DeletesOnRelease, "S14 "),
        (Wrong::RenewsWhatIsOver, "S7 "),
        (Wrong::ReleasesNothing, "S16 "),
    ] {
        let found = (1..=10).any(|seed| {
            let outcome = Plan { wrong: Some(wrong), ..Plan::of(seed) }.run();
            outcome.wrong.iter().any(|what| what.starts_with(property))
        });
        assert!(found, "{wrong:?} is not found out by {property}");
    }
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in [3, 4] {
        for stormy in [false, true] {
            let plan = Plan { stormy, logged: true, ..Plan::of(seed) };
            let (once, again) = (plan.run().log, plan.run().log);
            let differs = once.lines().zip(again.lines()).find(|(one, other)| one != other);
            assert!(once == again, "seed {seed}: {differs:?}");
            assert!(once.lines().count() > 200);
        }
    }
}

#[test]
fn another_seed_gives_another_run() {
    let log = |seed| Plan { logged: true, ..Plan::of(seed) }.run().log;
    assert_ne!(log(5), log(6));
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
