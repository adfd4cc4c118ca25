//! golock against every backend that there is: doctor, verify, run, and a server that is stopped and killed under it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]
#![allow(clippy::print_stdout, reason = "whoever runs the tests wants to know how far they are")]

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use golock::{Place, Said, until};
use golock_conformance::servers::{self, Server};
use golock_conformance::{Abilities, BoxError, Fixture, Opened, Pause, Restart, async_trait};
use golock_core::LockStore;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use named::locks_of_another_table_are_another_matter;
use register::Register;
use tokio::runtime::Runtime;

mod golock;
mod named;
#[path = "harm/mod.rs"]
mod register;

/// The ids of golock-conformance's table, with the feature of each. What has no server here shows as ignored.
const SERVERS: [(&str, bool); 9] = [
    ("redis", cfg!(feature = "redis")),
    ("valkey", cfg!(feature = "redis")),
    ("postgres", cfg!(feature = "postgres")),
    ("postgres15", cfg!(feature = "postgres")),
    ("mysql", cfg!(feature = "mysql")),
    ("mariadb", cfg!(feature = "mysql")),
    ("mariadb10", cfg!(feature = "mysql")),
    ("mongo", cfg!(feature = "mongo")),
    ("mssql", cfg!(feature = "mssql")),
];

type Check = fn(&Runtime, &Server);

/// In this order: the last harm the server.
const CHECKS: [(&str, Check); 5] = [
    ("doctor_finds_no_fault_but_those_of_a_test_server", doctor),
    ("locks_of_another_table_are_another_matter", locks_of_another_table_are_another_matter),
    ("verify_holds_and_leaves_nothing_behind", verify),
    ("second_run_is_told_who_holds_the_lock", second_run),
    ("stopped_and_killed_server_lets_no_commands_overlap", harm),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each has a server of its own, and most of it is waiting.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let runtime = Arc::new(Runtime::new().unwrap());
    let trials = SERVERS.into_iter().filter(|(_, is_built)| *is_built).map(|(id, _)| {
        let runtime = runtime.clone();
        Trial::ignorable_test(id, move || check(&runtime, id))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// All checks over one server, which is removed at the end.
fn check(runtime: &Runtime, id: &'static str) -> Result<Completion, Failed> {
    let found = Arc::new(Mutex::new(None));
    let keep = found.clone();
    let target = servers::target(id, ready, move |server| {
        *keep.lock().unwrap() = Some(server.clone());
        Found
    });
    let opened: Opened = match runtime.block_on(target.open()) {
        Ok(opened) => opened,
        Err(why) => return Ok(Completion::ignored_with(why.excuse(id)?)),
    };
    let server = found.lock().unwrap().take().unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for (name, check) in CHECKS {
            println!("{id}: {name}");
            check(runtime, &server);
        }
    }));
    runtime.block_on(opened.close());
    match outcome {
        Ok(()) => Ok(Completion::Completed),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The server answers when golock can list its locks.
async fn ready(url: String) -> Result<(), BoxError> {
    #[cfg(feature = "mongo")]
    if url.starts_with("mongodb:") {
        use golock_mongo::mongodb::{Client, bson::doc};
        // A replica set of one, if it is none yet; an error says that it is, or that the next try will show it.
        let alone = doc! { "_id": "golock", "members": [{ "_id": 0, "host": "localhost:27017" }] };
        let admin = Client::with_uri_str(&url).await?.database("admin");
        let _ = admin.run_command(doc! { "replSetInitiate": alone }).await;
    }
    let said = tokio::task::spawn_blocking(move || Place::at(&url).said("ls")).await?;
    if said.code == 0 { Ok(()) } else { Err(said.err.into()) }
}

/// A server of MariaDB by its own name.
fn at(server: &Server) -> Place {
    match server.url().strip_prefix("mysql://") {
        Some(rest) if server.id().starts_with("mariadb") => Place::at(&format!("mariadb://{rest}")),
        _ => Place::at(server.url()),
    }
}

/// A target is opened for its server; none of the suite's cases runs over it here.
struct Found;

#[async_trait]
impl Fixture for Found {
    fn name(&self) -> &str {
        "golock"
    }

    async fn store(&self, _: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Err("golock opens its own".into())
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities::none("golock has its own tests")
    }
}

/// The servers of tests are set up for speed: what the doctor has to find is known.
fn doctor(_: &Runtime, server: &Server) {
    let place = at(server);
    // A look creates nothing.
    assert_eq!(place.said("run nightly -- true").code, 0);
    let said = place.said("doctor --json");
    let findings = said.json();
    let of = |level: &str| -> Vec<String> {
        let all = findings.as_array().unwrap().iter();
        all.filter(|one| one["level"] == level).map(|one| one["what"].as_str().unwrap().to_owned()).collect()
    };
    // The test servers of PostgreSQL run without fsync, for only the process is killed.
    let known: &[&str] = if server.id().starts_with("postgres") { &["fsync"] } else { &[] };
    assert_eq!(of("FAULT"), known, "{findings:#}");
    assert_eq!(said.code, i32::from(!known.is_empty()), "{said:?}");
    for what in ["golock", "privileges", "clock", "version"] {
        let all = findings.as_array().unwrap();
        assert!(all.iter().any(|one| one["what"] == what), "nothing of {what}: {findings:#}");
    }
    assert!(!said.out.contains("examination"), "{findings:#}");
    let words = place.said("doctor").out;
    assert!(words.lines().count() >= findings.as_array().unwrap().len(), "{words}");
}

fn verify(_: &Runtime, server: &Server) {
    let said = at(server).said("verify --quick --json");
    let report = said.json();
    assert_eq!((said.code, &report["holds"]), (0, &true.into()), "{report:#}");
    assert_eq!(report["not_removed"], serde_json::json!([]), "{report:#}");
    let held = report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "held").count();
    assert!(held > 50, "{held} checks held: {report:#}");
}

fn second_run(_: &Runtime, server: &Server) {
    let place = at(server);
    let mut first = place.start(place.golock_sh("run nightly --lock-by first", "echo begun; cat"));
    assert_eq!(first.line(), "begun");
    assert!(place.said("run nightly -- true").failed(75).contains("\"first\""));
    assert_eq!(first.end().code, 0);
    assert_eq!(Said::by(place.golock_sh("run nightly", "echo mine")).out, "mine\n");
}

fn harm(runtime: &Runtime, server: &Server) {
    if server.can_restart().is_err() {
        println!("{}: not ours to harm", server.id());
        return;
    }
    let place = Place::at(server.url());
    let register = Register::new(&place);
    let contenders = [(); 3].map(|()| register.contender(&place));
    let first = register.next_holder(0);
    runtime.block_on(server.pause()).unwrap();
    // Nobody can renew: the command ends with its lease, though golock is well and nobody else can have the lock.
    register.until_all_gone(first);
    runtime.block_on(server.unpause()).unwrap();
    let second = register.next_holder(first.token);

    runtime.block_on(server.restart()).unwrap();
    // The lease may have been renewed in time, or not.
    let before = register.len();
    until("somebody works", || register.len() > before);
    drop(contenders);
    register.until_all_gone(second);
    assert_eq!(register.refused(), 0, "of {} writes", register.len());
}
