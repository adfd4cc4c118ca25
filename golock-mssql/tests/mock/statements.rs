//! What is sent, and what is made of the answers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use golock_core::store::{AcquireAnswer, ListRequest, Operation, ReleaseAnswer, RenewAnswer};
use golock_core::{FencingToken, LockStore, StoreErrorKind as Kind};

use crate::tds::wire::{Parameter, Value};
use crate::tds::{Reply, Scripted};
use crate::{GRANT, acquire, builder, name, release, renew, try_acquire};

/// The statement as it stands in its file, for the table that tests use.
fn file(sql: &str) -> String {
    let lines = sql.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
    lines.collect::<Vec<_>>().join("\n").replace("{table}", "[dbo].[golock]")
}

#[tokio::test]
async fn each_operation_sends_the_statement_of_its_file_with_typed_parameters() {
    let server = Scripted::usual().await;
    let store = server.store(builder());
    store.acquire(&[acquire("jób")]).await.unwrap();
    store.renew(&[renew("b"), renew("a")]).await.unwrap();
    store.release(&[release("job")]).await.unwrap();
    store.revoke(&name("job")).await.unwrap();
    store.force_unlock(&name("job")).await.unwrap();
    store.inspect(&name("job")).await.unwrap();
    store.list(&ListRequest::new("jo", 5).after(name("job"))).await.unwrap();
    store.purge(Duration::from_secs(60)).await.unwrap();

    use Parameter::{Bytes, Number, Text};
    let key = |name: &str| Bytes([name.as_bytes(), &[1]].concat());
    let grant = Bytes(GRANT.as_bytes().to_vec());
    let (seconds, micros) = (Number(90_000), Number(5));
    let renewal = include_str!("../../src/sql/renew.sql")
        .replace("{want}", "(0, @P1, @P2, @P3, @P4, @P5), (1, @P6, @P7, @P8, @P9, @P10)");
    let fence = include_str!("../../src/sql/fence.sql");
    let list = include_str!("../../src/sql/list.sql");
    let expected = [
        (
            include_str!("../../src/sql/acquire.sql"),
            "@P1 varbinary(8000),@P2 varbinary(8000),@P3 nvarchar(4000),@P4 int,@P5 int",
            vec![key("jób"), grant.clone(), Text("me".to_owned()), seconds.clone(), micros.clone()],
        ),
        (
            &renewal,
            "@P1 varbinary(8000),@P2 varbinary(8000),@P3 bigint,@P4 int,@P5 int,\
             @P6 varbinary(8000),@P7 varbinary(8000),@P8 bigint,@P9 int,@P10 int",
            // In the order of the names, whatever the order of the requests.
            ["a", "b"]
                .into_iter()
                .flat_map(|name| [key(name), grant.clone(), Number(7), seconds.clone(), micros.clone()])
                .collect(),
        ),
        (
            include_str!("../../src/sql/release.sql"),
            "@P1 varbinary(8000),@P2 varbinary(8000),@P3 int,@P4 int",
            vec![key("job"), grant.clone(), seconds, micros],
        ),
        (fence, "@P1 varbinary(8000),@P2 bit", vec![key("job"), Number(0)]),
        (fence, "@P1 varbinary(8000),@P2 bit", vec![key("job"), Number(1)]),
        (
            list,
            "@P1 varbinary(8000),@P2 varbinary(8000),@P3 bigint",
            vec![Bytes(b"job".to_vec()), Bytes(b"job\x01\x01".to_vec()), Number(1)],
        ),
        (
            list,
            "@P1 varbinary(8000),@P2 varbinary(8000),@P3 bigint",
            vec![key("job"), Bytes(b"jp".to_vec()), Number(5)],
        ),
        (
            include_str!("../../src/sql/purge.sql"),
            "@P1 int,@P2 int,@P3 varbinary(8000),@P4 bigint",
            vec![Number(60), Number(0), Bytes(Vec::new()), Number(1_000)],
        ),
    ];
    let sent: Vec<_> =
        server.asked().into_iter().filter(|asked| !["login", "session"].contains(&asked.what())).collect();
    assert_eq!(sent.len(), expected.len(), "one statement an operation");
    for (sent, (sql, declared, parameters)) in sent.iter().zip(expected) {
        assert_eq!(sent.sql, file(sql));
        assert_eq!(sent.declared, declared, "{}", sent.what());
        assert_eq!(sent.parameters, parameters, "{}", sent.what());
    }
}

#[tokio::test]
async fn every_session_is_told_its_settings_before_anything_else() {
    let server = Scripted::usual().await;
    let store = server.store(builder());
    try_acquire(&store).await.unwrap();
    store.renew(&[renew("job")]).await.unwrap();
    store.release(&[release("job")]).await.unwrap();
    let asked = server.asked();
    for (connection, lock_timeout) in [(1, 1250), (2, 500), (3, 1250)] {
        let mut on_it = asked.iter().filter(|asked| asked.connection == connection);
        assert_eq!(on_it.next().unwrap().what(), "login");
        // A batch: what sp_executesql sets ends with it.
        let settings = on_it.next().unwrap();
        assert_eq!((settings.what(), &*settings.declared), ("session", ""));
        for setting in [
            "SET XACT_ABORT ON;",
            "SET IMPLICIT_TRANSACTIONS OFF;",
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;",
            "SET ANSI_WARNINGS ON;",
            "SET ROWCOUNT 0;",
            &format!("SET LOCK_TIMEOUT {lock_timeout};"),
        ] {
            assert!(settings.sql.contains(setting), "{setting} on {connection}: {}", settings.sql);
        }
        let told = file(include_str!("../../src/sql/session.sql"));
        assert_eq!(
            settings.sql,
            told.replace("{lock_timeout}", &lock_timeout.to_string()),
            "on {connection}"
        );
    }
}

#[tokio::test]
async fn answers_are_told_apart() {
    let server = Scripted::start(|asked| {
        use Value::{BigInt, Bytes, Int, Text};
        let columns = &["outcome", "token", "lock_by", "held_for", "remaining"];
        let acquired = |outcome, remaining| {
            let row = vec![Text(outcome), BigInt(9), Text("høns"), BigInt(2_000_000), BigInt(remaining)];
            Some(Reply::Rows(columns, vec![row]))
        };
        let Some(Parameter::Bytes(name)) = asked.parameters.first() else { return None };
        match (asked.what(), name.strip_suffix(b"\x01").unwrap_or(name)) {
            ("acquire", b"held") => acquired("held", 3_000_000),
            ("acquire", b"just over") => acquired("held", 0),
            ("acquire", b"released") => acquired("raced", 3_000_000),
            ("acquire", b"late") => acquired("granted", -5),
            ("acquire", b"no row") => Some(Reply::Rows(columns, Vec::new())),
            ("renew", _) => {
                let row = |nr, outcome| vec![Int(nr), Text(outcome), BigInt(1_000_000)];
                let outcomes = ["renewed", "gone", "revoked", "expired", "taken"];
                // In whatever order.
                let rows = (0..5).zip(outcomes).map(|(nr, outcome)| row(nr, outcome)).rev().collect();
                Some(Reply::Rows(&["nr", "outcome", "remaining"], rows))
            }
            ("release", name) => {
                let outcome =
                    ["released", "already", "gone", "taken"].into_iter().find(|one| one.as_bytes() == name);
                Some(Reply::Rows(&["outcome"], vec![vec![Text(outcome.unwrap())]]))
            }
            ("fence", b"free") => Some(Reply::Rows(&[], Vec::new())),
            ("list", _) => {
                let columns = &["name", "lock_by", "held_for", "remaining", "token", "outcome"];
                let row = |name: &str, lock_by, outcome| {
                    let times = [2_000_000, 3_000_000, 9].map(BigInt);
                    [vec![Bytes(name.into()), Text(lock_by)], times.into(), vec![Text(outcome)]].concat()
                };
                let rows = vec![row("jób\u{1}", "\u{7}", "kept"), row("z\u{1}", "me", "held")];
                Some(Reply::Rows(columns, rows))
            }
            _ => None,
        }
    })
    .await;
    let store = server.store(builder());
    let requests = ["free", "held", "just over", "released", "late", "no row"].map(acquire);
    let acquired = store.acquire(&requests).await.unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(acquired[0], AcquireAnswer::granted(FencingToken::new(7), seconds(60)));
    let AcquireAnswer::Held(holder) = &acquired[1] else { panic!("{acquired:?}") };
    assert_eq!((holder.lock_by.as_str(), holder.token.get()), ("høns", 9));
    assert_eq!((holder.held_for, holder.remaining), (seconds(2), seconds(3)));
    assert_eq!(acquired[2..4], [AcquireAnswer::Raced, AcquireAnswer::Raced]);
    assert_eq!(acquired[4], AcquireAnswer::granted(FencingToken::new(9), Duration::ZERO));
    assert_eq!(acquired[5], AcquireAnswer::Raced);

    use golock_core::LostReason::{Expired, Revoked, RowGone, Taken};
    let renewed = store.renew(&["e", "d", "c", "b", "a"].map(renew)).await.unwrap();
    assert_eq!(renewed[..4], [Taken, Expired, Revoked, RowGone].map(RenewAnswer::Lost));
    assert_eq!(renewed[4], RenewAnswer::renewed(seconds(1)));

    use ReleaseAnswer::{AlreadyReleased, NotYours, Released};
    let released = store.release(&["released", "already", "gone", "taken"].map(release)).await.unwrap();
    assert_eq!(released, [Released, AlreadyReleased, NotYours(RowGone), NotYours(Taken)]);

    assert_eq!(store.revoke(&name("held")).await.unwrap(), Some(FencingToken::new(8)));
    assert_eq!(store.force_unlock(&name("free")).await.unwrap(), None);
    assert_eq!(store.purge(seconds(1)).await.unwrap(), 3);
    let listed = store.list(&ListRequest::new("", 10)).await.unwrap();
    let [kept, held] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((kept.name.as_str(), kept.lock_by.as_str(), kept.released), ("jób", "(unreadable)", true));
    assert_eq!((held.name.as_str(), held.lock_by.as_str(), held.released), ("z", "me", false));
    assert_eq!((held.held_for, held.remaining, held.token.get()), (seconds(2), seconds(3), 9));
}

#[tokio::test]
async fn nothing_is_sent_for_nothing() {
    let server = Scripted::usual().await;
    let store = server.store(builder().create_table(false));
    assert_eq!(store.acquire(&[]).await.unwrap(), []);
    assert_eq!(store.renew(&[]).await.unwrap(), []);
    assert_eq!(store.release(&[]).await.unwrap(), []);
    // No name has a NUL in it.
    assert_eq!(store.list(&ListRequest::new("a\0", 5)).await.unwrap(), []);
    assert!(server.asked().is_empty());
}

/// No such table.
const MISSING: Reply = Reply::Error { number: 208, class: 16 };

#[tokio::test]
async fn the_table_is_created_once_and_only_if_it_is_missing() {
    let there = AtomicBool::new(false);
    let server = Scripted::start(move |asked| match asked.what() {
        "acquire" if !there.load(Ordering::SeqCst) => Some(MISSING),
        "create" => {
            there.store(true, Ordering::SeqCst);
            None
        }
        _ => None,
    })
    .await;
    let open = || server.store(builder().schema("ops").table("it's"));
    let store = open();
    try_acquire(&store).await.unwrap();
    try_acquire(&store).await.unwrap();
    let created = server.asked_to("create");
    assert_eq!(created.len(), 1);
    assert!(created[0].sql.contains("CREATE TABLE [ops].[it's] ("), "{}", created[0].sql);
    let creation = file(include_str!("../../src/sql/schema.sql"))
        .replace("[dbo].[golock]", "[ops].[it's]")
        .replace("{schema_in_text}", "N'ops'")
        .replace("{create_schema_in_text}", "N'CREATE SCHEMA [ops]'");
    assert_eq!(created[0].sql, creation);
    // Another store finds it.
    try_acquire(&open()).await.unwrap();
    assert_eq!(server.asked_to("create").len(), 1);
}

#[tokio::test]
async fn a_table_that_another_creates_at_the_same_time_will_do() {
    let looks = AtomicUsize::new(0);
    let server = Scripted::start(move |asked| match asked.what() {
        "acquire" if looks.fetch_add(1, Ordering::SeqCst) == 0 => Some(MISSING),
        "create" => Some(Reply::Error { number: 2714, class: 16 }),
        _ => None,
    })
    .await;
    // Whoever creates it needs no second session.
    try_acquire(&server.store(builder().acquire_sessions(1))).await.unwrap();
    assert_eq!(server.asked_to("create").len(), 1);
}

#[tokio::test]
async fn a_table_that_is_not_to_be_created_is_missing() {
    let server = Scripted::start(|asked| (asked.what() == "acquire").then_some(MISSING)).await;
    let error = try_acquire(&server.store(builder().create_table(false))).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::SchemaMissing, Operation::Acquire));
    assert_eq!(server.asked_to("create").len(), 0);
}

#[tokio::test]
async fn a_table_that_may_not_be_created_is_told() {
    let server = Scripted::start(|asked| match asked.what() {
        "list" => Some(MISSING),
        "create" => Some(Reply::Error { number: 262, class: 14 }),
        _ => None,
    })
    .await;
    let error = server.store(builder()).ready().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::Permission, Operation::CreateSchema));
    assert_eq!(server.asked_to("create").len(), 1);
}
