//! Whatever is killed or stopped: no two commands overlap, and nothing of a command outlives its lease.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use golock::{Place, kill};
use register::{Holder, Register};

mod golock;
#[path = "harm/mod.rs"]
mod register;

/// Some jobs are always there, one of which works; `harm` comes over that one.
fn under(rounds: usize, harm: impl Fn(Holder), afterwards: impl Fn(Holder)) {
    let place = Place::new();
    let register = Register::new(&place);
    let mut contenders: Vec<_> = (0..3).map(|_| register.contender(&place)).collect();
    let mut last = 0;
    for _ in 0..rounds {
        let holder = register.next_holder(last);
        last = holder.token;
        harm(holder);
        contenders.push(register.contender(&place));
        register.next_holder(last);
        register.until_all_gone(holder);
        afterwards(holder);
    }
    let at_work = register.next_holder(last);
    drop(contenders);
    register.until_all_gone(at_work);
    assert_eq!(register.refused(), 0, "of {} writes", register.len());
}

fn nothing(_: Holder) {}

#[test]
fn killed_command_leaves_no_grandchild() {
    under(2, |holder| kill("KILL", holder.child), nothing);
}

#[test]
fn killed_golock_leaves_nothing_behind() {
    under(3, |holder| kill("KILL", holder.golock), nothing);
}

#[test]
fn stopped_golock_loses_its_command_in_time() {
    under(2, |holder| kill("STOP", holder.golock), |holder| kill("CONT", holder.golock));
}

#[test]
fn killed_watchdog_ends_the_command() {
    under(3, |holder| kill("KILL", holder.watchdog), nothing);
}

#[test]
fn stopped_command_is_killed_with_golock() {
    let harm = |holder: Holder| {
        kill("STOP", holder.child);
        kill("KILL", holder.golock);
    };
    under(2, harm, nothing);
}

#[test]
fn stopped_watchdog_is_not_waited_for() {
    let place = Place::new();
    let register = Register::new(&place);
    let job = register.contender(&place);
    let holder = register.next_holder(0);
    kill("STOP", holder.watchdog);
    // golock finds out at its next renewal, and has to end the command without the watchdog.
    assert_eq!(place.said("unlock harmed --force --yes").code, 0);
    register.until_all_gone(holder);
    let said = job.end();
    assert_eq!(said.code, 74, "{said:?}");
}
