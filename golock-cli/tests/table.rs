//! Which table: one of a service's own, one that is missing, one that can't be; over a file, and where nobody listens.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use golock::{Place, Said};
use serde_json::json;

mod golock;

#[test]
fn each_table_has_locks_of_its_own() {
    let place = Place::new();
    let mut holder = place.start(place.golock_sh("run nightly --table ops --lock-by me", "echo begun; cat"));
    assert_eq!(holder.line(), "begun");
    for (command, there, elsewhere) in [("ls", 0, 0), ("watch --count 1", 0, 0), ("show nightly", 0, 1)] {
        let said = place.said(&format!("{command} --table ops"));
        assert!(said.code == there && said.out.contains("me"), "{command}: {said:?}");
        let said = place.said(command);
        assert!(said.code == elsewhere && !said.out.contains("me"), "{command}: {said:?}");
    }
    let mut by_variable = place.golock("show nightly");
    by_variable.env("GOLOCK_TABLE", "ops");
    assert_eq!(Said::by(by_variable).code, 0);
    assert_eq!(place.said("run nightly -- echo mine").out, "mine\n");
    place.said("run nightly --table ops -- echo no").failed(75);

    for end in ["revoke nightly", "unlock nightly --force --yes"] {
        assert_eq!(place.said(end).code, 1, "{end}: it is free in the default table");
        assert_eq!(place.said(&format!("{end} --table ops")).code, 0, "{end}");
    }
    let purged = |table| place.said(&format!("purge --older-than 0s --json {table}")).json();
    assert_eq!(
        (purged("--table ops"), purged("--table ops")),
        (json!({ "purged": 1 }), json!({ "purged": 0 }))
    );
    assert_eq!(purged(""), json!({ "purged": 1 }));
}

#[test]
fn named_table_is_created_by_run_alone() {
    let place = Place::new();
    let elsewhere = place.said(&format!("--store sqlite://{} ls", place.file("slip.db").display()));
    assert!(elsewhere.failed(0).contains("none that this user can see"), "the URL may be wrong");
    assert_eq!(place.said("run nightly -- true").code, 0);
    // Nobody has locked there; but whoever has named it may have named another.
    for (look, code) in [("ls", 0), ("show nightly", 1), ("ls --json", 0)] {
        let said = place.said(&format!("{look} --table slip"));
        assert!(said.failed(code).contains("no table \"slip\""), "{look}: {said:?}");
    }
    let said = place.said("watch --count 1 --table slip");
    assert!(said.code == 0 && said.out.contains("no table"), "{said:?}");
    for end in ["revoke nightly", "unlock nightly --force --yes", "purge --older-than 0s"] {
        let said = place.said(&format!("{end} --table slip"));
        assert!(said.failed(78).contains("no such table: slip"), "{end}: {said:?}");
    }
    assert_eq!(place.said("ls --table slip").code, 0);
    assert!(place.said("doctor --table slip").out.contains("there is no table slip"));
    assert_eq!(place.said("run nightly --table slip -- true").code, 0);
    assert_eq!(place.said("ls --table slip").code, 0);
}

#[test]
fn schema_is_printed_without_opening_anything() {
    let place = Place::new();
    let said = place.said("schema --table ops");
    assert!(said.code == 0 && said.out.contains("CREATE TABLE IF NOT EXISTS \"ops\""), "{said:?}");
    assert!(!place.file("golock").exists());
    for (is_built, url, backend, expected) in [
        (cfg!(feature = "postgres"), "postgres://me:secret@127.0.0.1:1/db", "postgres", "\"ops\".\"locks\""),
        (cfg!(feature = "mysql"), "mysql://me:secret@127.0.0.1:1/db", "mysql", "`ops`.`locks`"),
        (cfg!(feature = "mysql"), "mariadb://me:secret@127.0.0.1:1/db", "mysql", "`ops`.`locks`"),
        (cfg!(feature = "mssql"), "mssql://me:secret@127.0.0.1:1/db", "mssql", "[ops].[locks]"),
        (cfg!(feature = "redis"), "redis://me:secret@127.0.0.1:1", "redis", "'~ops.locks*'"),
    ] {
        if is_built {
            let told = Place::at(url).said("schema --table ops.locks --json").json();
            let schema = told["schema"].as_str().unwrap();
            assert!(told["backend"] == backend && schema.contains(expected), "{told}");
            assert!(!schema.contains("secret"), "{told}");
        }
    }
}

/// It is asked for by the name of MySQL, and does not answer.
#[cfg(feature = "mysql")]
#[test]
fn server_of_mariadb_may_be_called_so() {
    let place = Place::at("mariadb://me:secret@127.0.0.1:1/db");
    for command in ["ls", "revoke nightly", "doctor", "verify --quick", "run nightly -- true"] {
        place.said(command).failed(69);
    }
}

#[test]
fn name_that_can_not_be_is_refused_before_anything_is_opened() {
    let commands =
        ["ls", "show x", "watch", "revoke x", "purge --older-than 1d", "schema", "doctor", "run x -- true"];
    let long = "x".repeat(300);
    for (is_built, url, name) in [
        (cfg!(feature = "sqlite"), "", "sqlite_x"),
        (cfg!(feature = "postgres"), "postgres://me@127.0.0.1:1/db", ".x"),
        (cfg!(feature = "mysql"), "mysql://me@127.0.0.1:1/db", "x."),
        (cfg!(feature = "mssql"), "mssql://me@127.0.0.1:1/db", "a\nb"),
        (cfg!(feature = "redis"), "redis://127.0.0.1:1", &long),
        // That host does not exist: it would be looked up.
        (cfg!(feature = "mongo"), "mongodb+srv://golock.invalid", "a$b"),
    ] {
        let place = Place::at(url);
        for command in commands.into_iter().filter(|_| is_built) {
            let mut golock = place.golock(command);
            golock.env("GOLOCK_TABLE", name);
            Said::by(golock).failed(78);
        }
        assert!(!place.file("golock").exists());
    }
}

#[test]
fn doctor_creates_nothing() {
    let place = Place::new();
    let said = place.said("doctor");
    assert!(said.code == 0 && said.out.contains("there is no file"), "{said:?}");
    assert!(!place.file("golock").exists());

    assert_eq!(place.said("run nightly -- true").code, 0);
    for _ in 0..2 {
        let said = place.said("doctor --table ops");
        assert!(said.code == 0 && said.out.contains("there is no table ops"), "{said:?}");
        assert!(!said.out.contains("round trip"), "{said:?}");
    }
    let said = place.said("doctor");
    assert!(said.code == 0 && said.out.contains("as golock makes it"), "{said:?}");
    assert!(said.out.contains("round trip"), "{said:?}");
}

/// golock makes the directory of the default file only.
#[test]
fn doctor_finds_that_there_is_no_directory() {
    let place = Place::new();
    for (path, code, found) in
        [("nowhere/locks.db", 1, "FAULT    directory"), ("locks.db", 0, "there is no file")]
    {
        let url = format!("--store sqlite://{} doctor", place.file(path).display());
        let said = place.said(&url);
        assert!(said.code == code && said.out.contains(found), "{path}: {said:?}");
    }
    let mut relative = place.golock("--store sqlite://locks.db doctor");
    relative.current_dir(place.file(""));
    let said = Said::by(relative);
    assert!(said.code == 0 && said.out.contains("there is no file"), "{said:?}");
}

#[cfg(feature = "sqlite")]
#[test]
fn doctor_looks_at_the_table_that_is_named() {
    let place = Place::new();
    let on_own = |arguments: &str| {
        let mut golock = place.golock(arguments);
        golock.env("GOLOCK_TABLE", "it's \"my own\"");
        Said::by(golock)
    };
    assert_eq!((place.said("run nightly -- true").code, on_own("run nightly -- true").code), (0, 0));
    assert!(on_own("doctor").out.contains("as golock makes it"));
    let file = rusqlite::Connection::open(place.file("golock/locks.db")).unwrap();
    file.execute_batch("ALTER TABLE \"it's \"\"my own\"\"\" RENAME COLUMN lock_by TO holder").unwrap();
    let said = on_own("doctor");
    assert!(said.code == 1 && said.out.contains("holder TEXT"), "{said:?}");
    file.execute_batch("ALTER TABLE \"it's \"\"my own\"\"\" ADD COLUMN \"\x1b[2J\" TEXT").unwrap();
    let said = on_own("doctor");
    assert!(said.out.contains("\\u{1b}[2J TEXT") && !said.out.contains('\x1b'), "{said:?}");
    assert_eq!(place.said("doctor").code, 0);
}
