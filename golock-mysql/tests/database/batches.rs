//! Acquires and releases of many names at once, where rows are locked, missing, or come up meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use golock_conformance::BoxError;
use golock_core::store::{AcquireAnswer, AcquireRequest, ReleaseAnswer, ReleaseRequest};
use golock_core::{GrantId, LockName, LockStore, LostReason, StoreError, StoreErrorKind};
use golock_mysql::MysqlStore;
use golock_mysql::mysql_async::Conn;
use golock_mysql::mysql_async::prelude::Queryable;
use tokio::time::sleep;

use crate::LONG;
use crate::db::{Db, acquire, give_back, taken};
use crate::server::{grant, label, literal, name, unique};

pub(crate) async fn acquires_in_company_do_not_wait_for_locked_rows(db: &Db) -> Result<(), BoxError> {
    // In a table so small that the server might rather read, and lock, all of it.
    let table = unique("small");
    let store = MysqlStore::builder().table(&table).connect(db.0.url()).await?;
    let [new, free, locked_free, held, own, locked_own] =
        ["new", "free", "locked-free", "held", "own", "locked-own"].map(name);
    for name in [&free, &locked_free] {
        give_back(&store, name, grant()).await?;
    }
    let holder = taken(&store, &held, grant(), LONG).await?;
    let (mine, locked_mine) = (grant(), grant());
    let token = taken(&store, &own, mine, Duration::from_secs(20)).await?;
    taken(&store, &locked_own, locked_mine, Duration::from_secs(20)).await?;
    let locks = (
        db.lock_row(&table, &locked_free).await?,
        db.lock_row(&table, &held).await?,
        db.lock_row(&table, &locked_own).await?,
    );

    let wanted = [
        (&new, grant()),
        (&free, grant()),
        (&locked_free, grant()),
        (&held, grant()),
        (&own, mine),
        (&locked_own, locked_mine),
    ];
    let answers = acquire_all(&store, &wanted).await?;
    let [
        AcquireAnswer::Granted { .. },
        AcquireAnswer::Granted { .. },
        AcquireAnswer::Raced,
        AcquireAnswer::Held(by),
        AcquireAnswer::Granted { token: again, remaining, .. },
        AcquireAnswer::Raced,
    ] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(by.token, holder);
    assert_eq!(*again, token, "the same grant again");
    assert!(*remaining > LONG / 2, "it was extended: {remaining:?}");
    drop(locks);
    db.run(&format!("DROP TABLE {table}")).await
}

pub(crate) async fn an_acquire_in_company_waits_for_a_row_that_another_makes(
    db: &Db,
) -> Result<(), BoxError> {
    let store = Arc::new(MysqlStore::builder().request_timeout(LONG).connect(db.0.url()).await?);
    for outcome in ["COMMIT", "ROLLBACK"] {
        let (made, new) = (name("made"), name("new"));
        let mut making = make_row(db, &made, grant()).await?;
        let acquiring = tokio::spawn({
            let (store, made, new) = (Arc::clone(&store), made.clone(), new.clone());
            async move { acquire_all(&store, &[(&made, grant()), (&new, grant())]).await }
        });
        db.until_waiting().await?;
        making.query_drop(outcome).await?;

        let answers = acquiring.await??;
        match (outcome, &answers[..]) {
            ("COMMIT", [AcquireAnswer::Held(_), AcquireAnswer::Granted { .. }])
            | ("ROLLBACK", [AcquireAnswer::Granted { .. }, AcquireAnswer::Granted { .. }]) => {}
            _ => panic!("after a {outcome}: {answers:?}"),
        }
    }
    Ok(())
}

pub(crate) async fn a_batch_that_fails_takes_nothing(db: &Db) -> Result<(), BoxError> {
    let store = db.store().await?;
    let (made, new, free) = (name("made"), name("new"), name("free"));
    give_back(&store, &free, grant()).await?;
    let _making = make_row(db, &made, grant()).await?;

    let wanted = [(&made, grant()), (&new, grant()), (&free, grant())];
    let failed = acquire_all(&store, &wanted).await.map_err(|error| error.kind());
    assert_eq!(failed, Err(StoreErrorKind::Conflict));
    for name in [&new, &free] {
        taken(&store, name, grant(), LONG).await?;
    }
    Ok(())
}

pub(crate) async fn an_acquire_in_company_does_not_wait_for_row_after_row(db: &Db) -> Result<(), BoxError> {
    // It waits for a row for 2 s, and for all of them for 2.5 s.
    let store = db.store().await?;
    loop {
        let names = ["a", "b", "c"].map(name);
        let mut making = Vec::new();
        for name in &names {
            making.push(make_row(db, name, grant()).await?);
        }
        let acquiring = tokio::spawn({
            let (store, names) = (Arc::clone(&store), names.clone());
            async move { acquire_all(&store, &names.each_ref().map(|name| (name, grant()))).await }
        });
        db.until_waiting().await?;
        for made in &mut making[..2] {
            sleep(Duration::from_millis(1_400)).await;
            made.query_drop("ROLLBACK").await?;
        }

        match acquiring.await? {
            // On a busy machine it may have given up before.
            Err(error) if error.kind() == StoreErrorKind::Conflict => continue,
            answers => {
                let answers = answers?;
                let [AcquireAnswer::Granted { .. }, AcquireAnswer::Granted { .. }, AcquireAnswer::Raced] =
                    answers[..]
                else {
                    panic!("{answers:?}")
                };
            }
        }
        return Ok(());
    }
}

pub(crate) async fn releases_in_company_are_told_exactly(db: &Db) -> Result<(), BoxError> {
    let table = unique("small");
    let store = MysqlStore::builder().table(&table).connect(db.0.url()).await?;
    let names = ["held", "at-least", "overtaken", "free", "released", "missing"].map(name);
    let [held, at_least, overtaken, free, released, missing] = &names;
    let ids = names.each_ref().map(|_| grant());
    taken(&store, held, ids[0], LONG).await?;
    taken(&store, at_least, ids[1], LONG).await?;
    let newer = grant();
    let token = taken(&store, overtaken, newer, LONG).await?;
    give_back(&store, free, grant()).await?;
    taken(&store, released, ids[4], LONG).await?;
    give_back(&store, released, ids[4]).await?;

    let requests: Vec<ReleaseRequest> = names
        .iter()
        .zip(ids)
        .map(|(name, id)| {
            let stays = if name == at_least { LONG / 2 } else { Duration::ZERO };
            ReleaseRequest::new(name.clone(), id, stays)
        })
        .collect();
    let answers = store.release(&requests).await?;
    use ReleaseAnswer::{AlreadyReleased, NotYours, Released};
    let taken_by_another = NotYours(LostReason::Taken);
    let expected = [
        Released,
        Released,
        taken_by_another,
        taken_by_another,
        AlreadyReleased,
        NotYours(LostReason::RowGone),
    ];
    assert_eq!(answers, expected);

    let left = store.inspect(at_least).await?.expect("it stays taken for a while").remaining;
    assert!(left > Duration::ZERO && left <= LONG / 2, "{left:?}");
    assert_eq!(taken(&store, overtaken, newer, LONG).await?, token, "the other's grant goes on");
    // Whatever the row was, the acquire that is undone is refused should it arrive yet.
    for (name, id) in [(held, ids[0]), (free, ids[3]), (released, ids[4]), (missing, ids[5])] {
        let late = acquire(&store, name, id, LONG).await?;
        assert!(matches!(late, AcquireAnswer::Raced), "{name}: {late:?}");
        taken(&store, name, grant(), LONG).await?;
    }
    assert_eq!(store.release(&requests[..2]).await?, [AlreadyReleased; 2]);
    db.run(&format!("DROP TABLE {table}")).await
}

pub(crate) async fn releases_in_company_do_not_wait_for_a_locked_row(db: &Db) -> Result<(), BoxError> {
    let store = db.store().await?;
    loop {
        let (locked, other) = (name("locked"), name("other"));
        let ids = [grant(), grant()];
        taken(&store, &locked, ids[0], LONG).await?;
        taken(&store, &other, ids[1], LONG).await?;
        let lock = db.lock_row("golock", &locked).await?;
        let requests = [&locked, &other]
            .into_iter()
            .zip(ids)
            .map(|(name, id)| ReleaseRequest::new(name.clone(), id, Duration::ZERO))
            .collect::<Vec<_>>();
        let releasing = tokio::spawn({
            let (store, requests) = (Arc::clone(&store), requests.clone());
            async move { store.release(&requests).await }
        });
        db.until_waiting().await?;
        assert_eq!(store.inspect(&other).await?, None, "it is free before the locked one is");
        drop(lock);

        match releasing.await? {
            // On a busy machine it may have given up before. What was done then is not said to have had no effect.
            Err(error) if error.kind() == StoreErrorKind::Timeout => continue,
            answers => assert_eq!(answers?, [ReleaseAnswer::Released; 2]),
        }
        return Ok(());
    }
}

pub(crate) async fn a_batch_of_releases_with_a_row_that_stays_locked_is_in_doubt(
    db: &Db,
) -> Result<(), BoxError> {
    let store = db.store().await?;
    let (locked, other) = (name("locked"), name("other"));
    let requests = [(&locked, grant()), (&other, grant())];
    for (name, id) in requests {
        taken(&store, name, id, LONG).await?;
    }
    let requests = requests.map(|(name, id)| ReleaseRequest::new(name.clone(), id, Duration::ZERO));
    let lock = db.lock_row("golock", &locked).await?;
    let failed = store.release(&requests).await.map_err(|error| error.kind());
    assert_eq!(failed, Err(StoreErrorKind::Timeout));
    drop(lock);
    use ReleaseAnswer::{AlreadyReleased, Released};
    assert_eq!(store.release(&requests).await?, [Released, AlreadyReleased]);
    Ok(())
}

pub(crate) async fn a_row_that_comes_up_while_many_are_released_is_told_as_it_is(
    db: &Db,
) -> Result<(), BoxError> {
    let store = db.store().await?;
    loop {
        let (made, missing, id) = (name("made"), name("missing"), grant());
        let requests = [(&made, id), (&missing, grant())]
            .map(|(name, id)| ReleaseRequest::new(name.clone(), id, Duration::ZERO));
        let mut making = make_row(db, &made, id).await?;
        let releasing = tokio::spawn({
            let (store, requests) = (Arc::clone(&store), requests.clone());
            async move { store.release(&requests).await }
        });
        db.until_waiting().await?;
        making.query_drop("COMMIT").await?;

        match releasing.await? {
            // On a busy machine it may have given up before.
            Err(error) if error.kind() == StoreErrorKind::Timeout => continue,
            answers => {
                assert_eq!(answers?, [ReleaseAnswer::Released, ReleaseAnswer::NotYours(LostReason::RowGone)]);
            }
        }
        assert_eq!(store.inspect(&made).await?, None);
        return Ok(());
    }
}

/// In whatever order each has them: none fails, and no name is granted twice.
pub(crate) async fn batches_of_several_processes_get_on_with_each_other(db: &Db) -> Result<(), BoxError> {
    const PROCESSES: usize = 4;
    const ROUNDS: usize = 25;
    // Half of the names have rows, half are new in each round.
    let old: Vec<LockName> = (0..12).map(|at| name(&format!("old-{at}"))).collect();
    for round in 0..ROUNDS {
        let new = (0..12).map(|at| name(&format!("new-{at}")));
        let mut names: Vec<LockName> = old.iter().cloned().chain(new).collect();
        let mut processes = Vec::new();
        for process in 0..PROCESSES {
            names.rotate_left(5);
            if process % 2 == 1 {
                names.reverse();
            }
            let (store, names) = (db.store().await?, names.clone());
            processes.push(async move {
                let wanted: Vec<(&LockName, GrantId)> = names.iter().map(|name| (name, grant())).collect();
                let answers = acquire_all(&store, &wanted).await?;
                let granted = |(request, answer): (&(&LockName, GrantId), &AcquireAnswer)| {
                    matches!(answer, AcquireAnswer::Granted { .. }).then(|| (request.0.clone(), request.1))
                };
                let granted: Vec<_> = wanted.iter().zip(&answers).filter_map(granted).collect();
                Ok::<_, StoreError>((store, granted))
            });
        }
        let outcomes = try_join_all(processes).await?;
        let mut all: Vec<&LockName> =
            outcomes.iter().flat_map(|(_, granted)| granted).map(|(name, _)| name).collect();
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "round {round}: a name was granted twice");

        let releases = outcomes.iter().map(|(store, granted)| async move {
            let requests: Vec<_> = granted
                .iter()
                .map(|(name, id)| ReleaseRequest::new(name.clone(), *id, Duration::ZERO))
                .collect();
            let answers = store.release(&requests).await?;
            assert_eq!(answers, vec![ReleaseAnswer::Released; requests.len()]);
            Ok::<_, StoreError>(())
        });
        try_join_all(releases).await?;
    }
    Ok(())
}

pub(crate) async fn acquire_all(
    store: &MysqlStore,
    wanted: &[(&LockName, GrantId)],
) -> Result<Vec<AcquireAnswer>, StoreError> {
    let request =
        |(name, id): &(&LockName, GrantId)| AcquireRequest::new((*name).clone(), *id, label(), LONG);
    store.acquire(&wanted.iter().map(request).collect::<Vec<_>>()).await
}

/// A row that a grant holds, in a transaction that is still open.
async fn make_row(db: &Db, name: &LockName, id: GrantId) -> Result<Conn, BoxError> {
    let mut conn = db.admin().await?;
    conn.query_drop("BEGIN").await?;
    let (name, id) = (literal(name.as_bytes()), literal(id.as_bytes()));
    conn.query_drop(format!(
        "INSERT INTO golock (name, grant_id, lock_by, token, locked_at, expires_at)
         VALUES ({name}, {id}, 'x', 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 1 HOUR)"
    ))
    .await?;
    Ok(conn)
}
