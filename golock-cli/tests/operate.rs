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
fn where_nobody_has_locked_nothing_is_created() {
    let place = Place::new();
    let nobody_has = || {
        let said = ["ls", "ls --json", "show nightly", "show nightly --json", "watch --count 1 --json"]
            .map(|look| place.said(look));
        assert!(said.iter().all(|said| said.err.is_empty()), "{said:?}");
        assert_eq!(said.each_ref().map(|said| said.code), [0, 0, 1, 1, 0], "{said:?}");
        let [ls, ls_json, show, show_json, watch_json] = &said;
        assert_eq!((&*ls.out, &*show.out), ("", "nightly is free\n"));
        assert_eq!((ls_json.json(), watch_json.json()), (json!([]), json!([])));
        assert_eq!(show_json.json(), json!({ "name": "nightly", "held": false }));
        let watched = place.said("watch --count 1");
        assert!(watched.code == 0 && watched.out.starts_with("no lock is held on sqlite"), "{watched:?}");
        for end in [
            "revoke nightly",
            "unlock nightly --force --yes",
            "unlock nightly --force",
            "purge --older-than 1d",
        ] {
            let said = place.said(end);
            assert!(said.failed(78).contains("missing"), "{end}: {said:?}");
        }
        // What can't be a name is none here either.
        place.said(&format!("show {}", "x".repeat(256))).failed(64);
    };
    nobody_has();
    assert!(!place.file("golock").exists());

    // A database of somebody else's, as a slip in a URL finds it.
    #[cfg(feature = "sqlite")]
    {
        std::fs::create_dir(place.file("golock")).unwrap();
        let theirs = rusqlite::Connection::open(place.file("golock/locks.db")).unwrap();
        theirs.execute_batch("CREATE TABLE theirs (x)").unwrap();
        nobody_has();
        let tables = "SELECT count(*) FROM sqlite_schema";
        assert_eq!(theirs.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        // That would not be nobody's locks, but unreadable ones.
        theirs.execute_batch("CREATE TABLE golock (name)").unwrap();
        for look in ["ls", "show nightly", "watch --count 1"] {
            place.said(look).failed(78);
        }
    }
}

#[test]
fn watching_finds_the_table_that_others_create() {
    let place = Place::new();
    let mut watching = place.start(place.golock("watch --interval 10ms --json"));
    assert_eq!(watching.line(), "[]");
    let _holder = hold(&place, "nightly");
    golock::until("it is seen", || watching.line().contains("nightly-holder"));
    watching.signal("TERM");
    assert_eq!(watching.end().code, 0);
}

#[test]
fn free_locks_are_told_by_the_exit_code() {
    let place = Place::new();
    assert_eq!(place.said("run other -- true").code, 0);
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
    command.args(["a\x1b[2Jb\n", "--lock-by", "c\u{202e}d", "--", env!("CARGO_BIN_EXE_golock"), "ls"]);
    let said = Said::by(command);
    assert!(said.code == 0 && said.out.contains("a\\u{1b}[2Jb\\n"), "{said:?}");
    assert!(said.out.contains("c\\u{202e}d"), "{said:?}");
}

#[test]
fn failures_can_not_play_with_the_terminal() {
    let said = Place::new().said("--store sqlite:///\x1b[2Jnowhere/locks.db revoke nightly");
    assert!(said.failed(78).contains("\\u{1b}[2Jnowhere"), "{said:?}");
    assert!(!said.err.contains('\x1b'), "{said:?}");
}

#[test]
fn what_nobody_reads_ends_it_without_a_word() {
    let place = Place::new();
    let _holder = hold(&place, "nightly");
    for command in [
        "ls",
        "ls --json",
        "show nightly",
        "watch --interval 10ms",
        "schema",
        "doctor",
        "doctor --json",
        "completions bash",
        "man",
        "--help",
        "--version",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut golock = place.golock(command);
        golock.stdout(writer);
        let said = Said::by(golock);
        assert_eq!((said.code, &*said.err), (141, ""), "{command}");
    }
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
    let completions = place.said("completions bash").out;
    assert!(completions.contains("complete ") && completions.contains("--quiet"), "{completions}");
    assert!(place.said("completions zsh").out.contains("#compdef golock"));
    let page = place.said("man").out;
    assert!(page.contains(".TH golock 1") && page.contains("GOLOCK_TOKEN"), "{page}");
    assert!(page.contains("quiet") && page.contains("mariadb://"), "{page}");
    assert!(!page.contains("watchdog \\- ") && !place.said("--help").out.contains("gate"));
    let mut secret = place.golock("--help");
    secret.env("GOLOCK_STORE", "redis://user:sesame@host");
    assert!(!Said::by(secret).out.contains("sesame"));
}
