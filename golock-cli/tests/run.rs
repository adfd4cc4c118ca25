//! `golock run`, over a file: what it runs, how it ends, what others are told meanwhile.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::fs;
use std::process::Command;

use golock::{Place, Said, until, until_gone};

mod golock;

/// Holds the lock until its input ends.
const HOLD: &str = "echo begun; cat";

#[test]
fn a_command_is_run_without_any_server() {
    let place = Place::new();
    let said = place.said("run nightly -- echo done");
    assert_eq!((said.code, &*said.out, &*said.err), (0, "done\n", ""), "{said:?}");
    assert!(place.file("golock/locks.db").is_file());
}

#[test]
fn second_run_is_told_who_holds_the_lock() {
    let place = Place::new();
    let mut first = place.start(place.golock_sh("run nightly --lock-by first", HOLD));
    assert_eq!(first.line(), "begun");

    let second = place.said("run nightly -- echo no");
    let told = second.failed(75);
    assert!(
        told.contains("\"nightly\"") && told.contains("\"first\"") && told.contains("remaining"),
        "{told}"
    );
    assert_eq!(second.out, "");
    place.said("run nightly --busy-code 9 -- echo no").failed(9);
    place.said("run nightly --wait 50ms -- echo no").failed(75);
    for (quiet, code) in [("--quiet", 75), ("-q --busy-code 0", 0), ("-q --wait 50ms --busy-code 9", 9)] {
        let said = place.said(&format!("run nightly {quiet} -- echo no"));
        assert_eq!((said.code, &*said.out, &*said.err), (code, "", ""), "{quiet}");
    }
    assert_eq!(place.said("run other -- echo yes").out, "yes\n");

    assert_eq!(first.end().code, 0);
    assert_eq!(place.said("run nightly -- echo yes").out, "yes\n");
}

#[test]
fn quiet_run_tells_of_whatever_else_goes_wrong() {
    let place = Place::new();
    place.said("run nightly --quiet --busy-code 0 -- /nowhere/to/be/found").failed(127);
    let mut no_directory = place.golock("--store sqlite:///nowhere/to/be/found.db run nightly -q -- true");
    no_directory.env_remove("GOLOCK_STORE");
    Said::by(no_directory).failed(78);
    place.said("run nightly -q --at-most 1ms -- true").failed(64);
}

/// It is the first process of the group: in a shell's command line it would leave the group for one of its own.
#[test]
fn timeout_bounds_the_command() {
    let place = Place::new();
    let mut run = place.golock("run nightly -- timeout 1h");
    run.args(["sh", "-c", "cut -d ' ' -f 5 /proc/$$/stat; echo $PPID"]);
    let said = Said::by(run);
    let (group, timeout) = said.out.split_once('\n').unwrap();
    assert_eq!((said.code, group), (0, timeout.trim_end()), "{said:?}");
    assert_eq!(place.said("run nightly -- timeout 0.01s sleep 1000").code, 124);
    assert_eq!(place.said("run nightly -- true").code, 0);
}

#[test]
fn waiting_run_gets_its_turn() {
    let place = Place::new();
    let mut first = place.start(place.golock_sh("run nightly", HOLD));
    assert_eq!(first.line(), "begun");
    let waiting = ["--wait forever", "--wait 5m"]
        .map(|wait| place.start(place.golock_sh(&format!("run nightly {wait}"), "echo mine")));
    assert_eq!(first.end().code, 0);
    for waiter in waiting {
        let said = waiter.end();
        assert_eq!((said.code, &*said.out), (0, "mine\n"), "{said:?}");
    }
}

/// It may be starting: here whoever connects is turned away.
#[cfg(feature = "redis")]
#[test]
fn waiting_run_waits_for_its_server_too() {
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", door.local_addr().unwrap());
    let knocks = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = knocks.clone();
    std::thread::spawn(move || {
        for _ in door.incoming() {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let knocks_during = |arguments: &str| {
        let before = knocks.load(std::sync::atomic::Ordering::Relaxed);
        Place::at(&url).said(arguments).failed(69);
        knocks.load(std::sync::atomic::Ordering::Relaxed) - before
    };
    let once = knocks_during("run nightly -- echo no");
    assert!(once > 0);
    assert!(knocks_during("run nightly --wait 3s -- echo no") > once, "{once} without --wait");
}

#[test]
fn exit_codes_are_those_of_the_command() {
    let place = Place::new();
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        assert_eq!(Said::by(place.golock_sh("run nightly", script)).code, code, "{script}");
    }
    place.said("run nightly -- /nowhere/to/be/found").failed(127);
    place.said("run nightly -- /").failed(126);
}

#[test]
fn a_command_has_its_input_and_finds_name_and_token() {
    let place = Place::new();
    let mut job =
        place.start(place.golock_sh("run nightly", "read word; echo $word $GOLOCK_NAME $GOLOCK_TOKEN"));
    job.say("hello");
    let said = job.end();
    let words: Vec<_> = said.out.split_whitespace().collect();
    let [greeting, name, token] = words.try_into().unwrap();
    assert_eq!((greeting, name), ("hello", "nightly"));
    let next = Said::by(place.golock_sh("run nightly", "echo $GOLOCK_TOKEN"));
    assert!(next.out.trim().parse::<i64>().unwrap() > token.parse().unwrap(), "{token} then {next:?}");
}

#[test]
fn a_command_is_given_no_other_file() {
    let place = Place::new();
    let script = "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done";
    let files = |said: Said| -> Vec<String> { said.out.lines().map(str::to_owned).collect() };
    let mut alone = std::process::Command::new("sh");
    alone.args(["-c", script]).stdin(std::process::Stdio::null());
    assert_eq!(files(Said::by(place.golock_sh("run nightly", script))), files(Said::by(alone)));
}

#[test]
fn signals_are_passed_on() {
    let place = Place::new();
    // None that whoever runs the tests may have them ignore, as `nohup` does.
    let script = "trap 'echo usr1' USR1; trap 'echo usr2' USR2; trap 'echo term; exit 3' TERM; echo ready
                  while :; do sleep 0.01; done";
    let mut job = place.start(place.golock_sh("run nightly", script));
    assert_eq!(job.line(), "ready");
    for (signal, said) in [("USR1", "usr1"), ("USR2", "usr2"), ("TERM", "term")] {
        job.signal(signal);
        assert_eq!(job.line(), said);
    }
    assert_eq!(job.end().code, 3);
}

#[test]
fn run_that_waits_ends_by_a_signal() {
    let place = Place::new();
    let mut first = place.start(place.golock_sh("run nightly", HOLD));
    assert_eq!(first.line(), "begun");
    let waiter = place.start(place.golock("run nightly --wait forever -- true"));
    // It catches signals before it asks for the lock: without its handler it would die by the signal, with no code.
    until("it catches signals", || catches_term(waiter.pid()));
    waiter.signal("TERM");
    assert_eq!(waiter.end().code, 143);
    assert_eq!(first.end().code, 0);
}

/// A window that changes its size is nobody's wish to end what waits in it.
#[test]
fn run_that_waits_does_not_end_by_a_change_of_its_window() {
    let place = Place::new();
    let mut first = place.start(place.golock_sh("run nightly", HOLD));
    assert_eq!(first.line(), "begun");
    let waiter = place.start(place.golock("run nightly --wait forever -- true"));
    until("it catches signals", || catches_term(waiter.pid()));
    waiter.signal("WINCH");
    assert_eq!(first.end().code, 0);
    assert_eq!(waiter.end().code, 0);
}

/// As under `nohup`.
#[test]
fn a_signal_that_golock_was_to_ignore_the_command_ignores_too() {
    let place = Place::new();
    let script = r#"trap '' HUP; exec "$0" run nightly -- sh -c 'kill -HUP $$; echo survived'"#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_golock")]);
    shell.env("XDG_STATE_HOME", place.file("")).env_remove("GOLOCK_STORE");
    let said = Said::by(shell);
    assert_eq!((said.code, said.out.trim()), (0, "survived"), "{said:?}");
}

fn catches_term(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap_or("0");
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << (15 - 1) != 0
}

#[test]
fn at_least_keeps_the_lock_taken() {
    let place = Place::new();
    assert_eq!(place.said("run nightly --at-least 1h -- true").code, 0);
    place.said("run nightly -- true").failed(75);
    let shown = place.said("show nightly --json").json();
    assert_eq!(shown["released"], true, "{shown}");
}

#[test]
fn a_lock_that_was_forced_open_ends_the_command() {
    let place = Place::new();
    // The shell has its own words for a `sleep` that was ended.
    let script = "exec 2>/dev/null; trap 'echo term; exit 0' TERM; echo begun; while :; do sleep 0.01; done";
    let mut job = place.start(place.golock_sh("run nightly --at-most 3s", script));
    assert_eq!(job.line(), "begun");
    assert_eq!(place.said("unlock nightly --force --yes").code, 0);
    assert_eq!(job.line(), "term");
    let said = job.end();
    let told = said.failed(74);
    assert!(told.contains("revoked") && told.contains("ended"), "{told}");
}

#[test]
fn what_a_command_leaves_behind_ends_before_the_lock_is_given_back() {
    let place = Place::new();
    let mark = place.file("mark");
    let script = format!(
        "sh -c 'trap \"\" TERM HUP; while :; do sleep 0.01; done' {} >/dev/null 2>&1 & echo $!; exit 5",
        mark.display()
    );
    let said = Said::by(place.golock_sh("run nightly --grace 200ms", &script));
    assert_eq!(said.code, 5, "{said:?}");
    let pid = said.out.trim().parse().unwrap();
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&command_line).contains("mark"), "{pid} lives");
    until_gone(pid, "mark");
    assert_eq!(place.said("run nightly -- true").code, 0);
}

#[test]
fn what_can_not_be_is_refused_in_one_line() {
    let place = Place::new();
    for wrong in [
        "run",
        "run nightly",
        "run nightly --at-most soon -- true",
        "run nightly --at-most 1ms -- true",
        "run nightly --at-least 2m --at-most 1m -- true",
        "run nightly --at-most 4s --grace 3s -- true",
        "run nightly --wait sometimes -- true",
        "run nightly --busy-code 256 -- true",
        "nightly",
        "--store nonsense run nightly -- true",
        "unlock nightly",
        "unlock nightly --yes",
    ] {
        place.said(wrong).failed(64);
    }
    let told = place.said("--store nosuch://user:sesame@host run nightly -- true");
    assert!(!told.failed(64).contains("sesame"));
    for misplaced in
        ["postgres://user:sesame@host/db ls", "run nightly postgres://user:sesame@host/db -- true"]
    {
        let told = place.said(misplaced);
        assert!(!told.failed(64).contains("sesame"), "{misplaced}");
    }
    let mut long = place.golock("run");
    long.args([&"x".repeat(256), "--", "true"]);
    Said::by(long).failed(64);
    // Before a server is asked for, which may be away for as long as it likes.
    let mut nobody = place.golock("--store postgres://nobody@127.0.0.1:1/none run --wait forever");
    nobody.args([&"x".repeat(256), "--", "true"]);
    Said::by(nobody).failed(64);
    for command in ["run nightly -- true", "revoke nightly", "ls"] {
        let mut no_directory = place.golock("--store sqlite:///nowhere/to/be/found.db");
        no_directory.args(command.split(' ')).env_remove("GOLOCK_STORE");
        Said::by(no_directory).failed(78);
    }
}
