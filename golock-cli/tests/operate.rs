//! What operators see and do, over a file; and the pages that golock prints of itself.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use golock::{Place, Running, Said};
use serde_json::json;

mod golock;

fn hold(place: &Place, name: &str) -> Running {
    let mut running =
        place.start(place.golock_sh(&format!("run {name} --lock-by {name}-holder"), "echo begun; cat"));
    assert_eq!(running.line(), "begun");
    running
}

#[test]
fn held_locks_are_listed_and_shown() {
    let place = Place::new();
    let (_a, _b) = (hold(&place, "job/a"), hold(&place, "job/b"));
    let list = place.said("ls --json").json();
    assert_eq!(list[0]["name"], "job/a");
    assert_eq!(list[1]["lock_by"], "job/b-holder");
    assert_eq!(place.said("ls job/b --json").json().as_array().unwrap().len(), 1);
    assert_eq!(place.said("ls nothing --json").json(), json!([]));
    let one = place.said("show job/a --json").json();
    let mut keys: Vec<_> = one.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["held", "held_for_ms", "lock_by", "name", "released", "remaining_ms", "token"]);
    assert!(one["remaining_ms"].as_u64().unwrap() <= 30_000 && one["token"].is_i64(), "{one}");

    let table = place.said("ls").out;
    let first = table.lines().nth(1).unwrap();
    assert!(
        table.starts_with("NAME") && first.contains("job/a ") && first.contains("job/a-holder"),
        "{table}"
    );
    assert!(place.said("show job/a").out.contains("held by job/a-holder"));
}

#[test]
fn free_locks_are_told_by_the_exit_code() {
    let place = Place::new();
    let said = place.said("show nightly --json");
    assert_eq!((said.code, said.json()), (1, json!({ "name": "nightly", "held": false })));
    assert_eq!(place.said("show nightly").out, "nightly is free\n");
    assert_eq!(place.said("revoke nightly").code, 1);
    assert_eq!(place.said("unlock nightly --force --yes").code, 1);
    assert_eq!(place.said("unlock nightly --force").code, 1, "there is nothing to ask");
    assert_eq!(place.said("ls").out, "");
}

#[test]
fn unlocking_fences_at_once_and_is_not_done_unasked() {
    let place = Place::new();
    let _holder = hold(&place, "nightly");
    let before = place.said("show nightly --json").json()["token"].as_i64().unwrap();
    let unasked = place.said("unlock nightly --force");
    assert!(unasked.failed(64).contains("--yes"));
    let after = place.said("unlock nightly --force --yes --json").json();
    assert!(after["token"].as_i64().unwrap() > before, "{after}");
    assert_eq!(place.said("show nightly").code, 1);
}

#[test]
fn revoking_lets_the_lease_run_out() {
    let place = Place::new();
    let _holder = hold(&place, "nightly");
    let said = place.said("revoke nightly");
    assert!(said.code == 0 && said.out.contains("token is now"), "{said:?}");
    assert_eq!(place.said("show nightly --json").json()["released"], true);
}

#[test]
fn purging_spares_what_is_held() {
    let place = Place::new();
    assert_eq!(place.said("run old -- true").code, 0);
    let _holder = hold(&place, "nightly");
    assert_eq!(place.said("purge --older-than 30d --json").json(), json!({ "purged": 0 }));
    assert_eq!(place.said("purge --older-than 0s --json").json(), json!({ "purged": 1 }));
    assert_eq!(place.said("show nightly").code, 0);
}

#[test]
fn watching_shows_what_is_held() {
    let place = Place::new();
    let _holder = hold(&place, "nightly");
    let said = place.said("watch --count 2 --interval 10ms --json");
    let looks: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((looks.len(), &looks[1][0]["name"]), (2, &json!("nightly")));
    let table = place.said("watch --count 1").out;
    assert!(table.contains("nightly-holder") && !table.contains('\x1b'), "{table}");
}

#[test]
fn names_can_not_play_with_the_terminal() {
    let place = Place::new();
    let mut command = place.golock("run");
    command.args(["a\x1b[2Jb\n", "--", env!("CARGO_BIN_EXE_golock"), "ls"]);
    let said = Said::by(command);
    assert!(said.code == 0 && said.out.contains("a\\u{1b}[2Jb\\n"), "{said:?}");
}

#[test]
fn the_schema_is_printed() {
    let place = Place::new();
    assert!(place.said("schema").out.contains("CREATE TABLE"));
    let json = place.said("schema --json").json();
    assert!(
        json["backend"] == "sqlite" && json["schema"].as_str().unwrap().contains("CREATE TABLE"),
        "{json}"
    );
}

#[test]
fn golock_explains_itself() {
    let place = Place::new();
    assert!(place.said("--help").out.contains("Examples:"));
    assert!(place.said("run --help").out.contains("What escapes"));
    assert!(place.said("completions bash").out.contains("complete "));
    assert!(place.said("completions zsh").out.contains("#compdef golock"));
    let page = place.said("man").out;
    assert!(page.contains(".TH golock 1") && page.contains("GOLOCK_TOKEN"), "{page}");
    assert!(!page.contains("watchdog \\- ") && !place.said("--help").out.contains("gate"));
    let mut secret = place.golock("--help");
    secret.env("GOLOCK_STORE", "redis://user:sesame@host");
    assert!(!Said::by(secret).out.contains("sesame"));
}
