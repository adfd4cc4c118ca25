//! Locks in a table of another name, schema or database than the default: what `golock doctor` says is of that one.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::process::Command;

use golock_conformance::BoxError;
use golock_conformance::servers::Server;
use tokio::runtime::Runtime;

use crate::golock::{Place, Said};

/// A name, and what an administrator runs: SQL, or commands of MongoDB.
struct Named {
    name: &'static str,
    prepare: Option<&'static str>,
    harm: &'static str,
    /// What the doctor then finds.
    faults: &'static [&'static str],
    remove: &'static str,
}

const POSTGRES: Named = Named {
    name: r#"it's "ops".the\lo'cks"#,
    prepare: None,
    harm: r#"ALTER TABLE "it's ""ops"""."the\lo'cks" DROP CONSTRAINT "the\lo'cks_pkey""#,
    faults: &["primary key"],
    remove: r#"DROP SCHEMA "it's ""ops""" CASCADE"#,
};

const MYSQL: Named = Named {
    name: r"it's `ops`.the\lo'cks",
    // golock makes tables only.
    prepare: Some("CREATE DATABASE `it's ``ops```"),
    harm: r"ALTER TABLE `it's ``ops```.`the\lo'cks` DROP PRIMARY KEY, ENGINE = MyISAM",
    faults: &["engine", "primary key"],
    remove: "DROP DATABASE `it's ``ops```",
};

const MSSQL: Named = Named {
    name: "ops.locks",
    prepare: None,
    harm: "ALTER TABLE ops.locks DROP COLUMN released_grant",
    faults: &["schema"],
    remove: "DROP TABLE ops.locks",
};

const MONGO: Named = Named {
    name: "it's.ops",
    prepare: None,
    harm: r#"{ "createIndexes": "it's.ops",
               "indexes": [{ "name": "late", "key": { "expires_at": 1 }, "expireAfterSeconds": 3600 }] }"#,
    faults: &["TTL index"],
    remove: r#"{ "drop": "it's.ops" }"#,
};

/// A prefix. The doctor looks at nothing that it names.
const REDIS: &str = "it's [ops]*:";

pub(crate) fn locks_of_another_table_are_another_matter(runtime: &Runtime, server: &Server) {
    let named = match server.id() {
        id if id.starts_with("postgres") => POSTGRES,
        id if id.starts_with("mariadb") || id == "mysql" => MYSQL,
        "mssql" => MSSQL,
        "mongo" => MONGO,
        _ => return hold(server, REDIS),
    };
    let admin = |statement| runtime.block_on(run(server, statement)).unwrap();
    let doctor = || Said::by(over(server, named.name, "doctor --json"));
    named.prepare.map(admin);
    // Twice, for whoever looks creates nothing.
    for _ in 0..2 {
        assert!(finds(&doctor(), "schema", "note"), "{:?}", doctor());
        nobody_has_locked(server, named.name);
    }
    hold(server, named.name);
    assert!(finds(&doctor(), "privileges", "ok") && !finds(&doctor(), "schema", "note"), "{:?}", doctor());
    admin(named.harm);
    let (said, of_default) = (doctor(), Place::at(server.url()).said("doctor --json"));
    for fault in named.faults {
        assert!(finds(&said, fault, "FAULT"), "no {fault}: {said:?}");
        assert!(!finds(&of_default, fault, "FAULT"), "{fault}: {of_default:?}");
    }
    admin(named.remove);
}

/// The answers where there is no table. MongoDB has a collection whenever one is asked for.
fn nobody_has_locked(server: &Server, name: &str) {
    let ask = |arguments| Said::by(over(server, name, arguments));
    for (look, code) in [("ls", 0), ("show nightly", 1), ("watch --count 1 --json", 0)] {
        assert_eq!(ask(look).code, code, "{look}: {:?}", ask(look));
    }
    assert_eq!((ask("ls").out, ask("watch --count 1 --json").out), (String::new(), "[]\n".to_owned()));
    let end = ask("revoke nightly");
    assert_eq!(end.code, if server.id() == "mongo" { 1 } else { 78 }, "{end:?}");
}

/// A lock that is held there is seen there, and nowhere else.
fn hold(server: &Server, name: &str) {
    let place = Place::at(server.url());
    let mut run = over(server, name, "run nightly --lock-by me");
    run.args(["--", "sh", "-c", "echo begun; cat"]);
    let mut holder = place.start(run);
    assert_eq!(holder.line(), "begun");
    let list = Said::by(over(server, name, "ls --json")).json();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["lock_by"]), (1, &"me".into()));
    assert_eq!(place.said("ls").out, "");
    assert_eq!(holder.end().code, 0);
}

fn over(server: &Server, name: &str, arguments: &str) -> Command {
    let mut golock = Place::at(server.url()).golock(arguments);
    golock.env("GOLOCK_TABLE", name);
    golock
}

fn finds(said: &Said, what: &str, level: &str) -> bool {
    said.json().as_array().unwrap().iter().any(|one| one["what"] == what && one["level"] == level)
}

async fn run(server: &Server, statement: &str) -> Result<(), BoxError> {
    let url = server.url();
    match server.id() {
        #[cfg(feature = "postgres")]
        id if id.starts_with("postgres") => {
            golock_postgres::tool_session(url).await?.batch_execute(statement).await?;
        }
        #[cfg(feature = "mysql")]
        id if id.starts_with("mariadb") || id == "mysql" => {
            use golock_mysql::mysql_async::prelude::Queryable;
            use golock_mysql::mysql_async::{Conn, Opts, OptsBuilder};
            let opts = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false);
            Conn::new(opts).await?.query_drop(statement).await?;
        }
        #[cfg(feature = "mssql")]
        "mssql" => {
            let within = std::time::Duration::from_secs(10);
            golock_mssql::ToolSessions::at(url, within)?.query(statement, &[]).await?;
        }
        #[cfg(feature = "mongo")]
        "mongo" => {
            use golock_mongo::{MongoStoreBuilder, mongodb::Client};
            let database = Client::with_uri_str(url).await?.database(MongoStoreBuilder::DEFAULT_DATABASE);
            database.run_command(serde_json::from_str(statement)?).await?;
        }
        other => return Err(format!("{other} has no administrator").into()),
    }
    Ok(())
}
