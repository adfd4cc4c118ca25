//! What arrives late, and what may or may not have arrived.

use std::sync::Arc;
use std::time::Duration;

use golock_conformance::BoxError;
use golock_conformance::proxy::{Direction, Proxy};
use golock_conformance::servers::url_at;
use golock_core::store::{
    AcquireAnswer, AcquireRequest, HandOverRequest, Operation, ReleaseAnswer, ReleaseRequest,
};
use golock_core::{GrantId, LockName, LockStore, StoreError, StoreErrorKind};
use golock_mysql::{MysqlStore, MysqlStoreBuilder};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::LONG;
use crate::batches::acquire_all;
use crate::db::{Db, acquire, give_back, taken};
use crate::server::{grant, label, name};

/// How long the calls of [`hasty`] may take.
const WITHIN: Duration = MysqlStoreBuilder::MIN_REQUEST_TIMEOUT;

/// A proxy, a store behind it that soon gives up, and one without.
async fn hasty(db: &Db) -> Result<(Proxy, MysqlStore, Arc<MysqlStore>), BoxError> {
    let proxy = Proxy::start(db.0.address()).await?;
    let url = url_at(db.0.url(), proxy.address());
    let store = MysqlStore::builder().request_timeout(WITHIN).connect(&url).await?;
    Ok((proxy, store, db.store().await?))
}

/// Each was given up before it is let through.
pub(crate) async fn acquires_that_come_too_late_take_nothing(db: &Db) -> Result<(), BoxError> {
    let (proxy, store, direct) = hasty(db).await?;

    // Not late, and on sessions that are opened for it.
    let (names, holder) = names(&direct).await?;
    let (answers, released) = ask_in_all_ways(&store, &names, holder).await?;
    assert!(answers.iter().all(|answer| matches!(answer, AcquireAnswer::Granted { .. })), "{answers:?}");
    assert_eq!(released, ReleaseAnswer::Released);

    let (names, holder) = self::names(&direct).await?;
    proxy.hold(Direction::ToServer);
    let late = async {
        proxy.held(Direction::ToServer).await;
        sleep(WITHIN).await;
        proxy.let_go(Direction::ToServer);
    };
    let (asked, ()) = tokio::join!(ask_in_all_ways(&store, &names, holder), late);
    let (answers, released) = asked?;
    assert!(answers.iter().all(|answer| matches!(answer, AcquireAnswer::Raced)), "{answers:?}");
    assert_eq!(released, ReleaseAnswer::Released, "to give back is never too late");
    for name in &names {
        assert_eq!(direct.inspect(name).await?, None, "{name}");
        taken(&store, name, grant(), LONG).await?;
    }
    Ok(())
}

/// Who held the lock when it was asked for is not who holds it when it comes through.
pub(crate) async fn a_force_that_comes_too_late_takes_nothing_from_the_next(db: &Db) -> Result<(), BoxError> {
    let (proxy, store, direct) = hasty(db).await?;
    let (name, holder) = (name("forced"), grant());
    taken(&direct, &name, holder, LONG).await?;
    proxy.hold(Direction::ToServer);
    let late = async {
        proxy.held(Direction::ToServer).await;
        give_back(&direct, &name, holder).await?;
        taken(&direct, &name, grant(), LONG).await?;
        sleep(WITHIN).await;
        proxy.let_go(Direction::ToServer);
        Ok::<_, BoxError>(())
    };
    let (forced, outcome) = tokio::join!(store.force_unlock(&name), late);
    outcome?;
    let error = forced.expect_err("it came too late");
    assert_eq!((error.kind(), error.operation()), (StoreErrorKind::Unavailable, Operation::ForceUnlock));
    assert!(direct.inspect(&name).await?.is_some(), "taken from its holder");
    assert!(store.force_unlock(&name).await?.is_some(), "in time");
    assert_eq!(store.force_unlock(&name).await?, None);
    Ok(())
}

/// New, free, new in company, free in company; and one that this grant holds.
async fn names(store: &MysqlStore) -> Result<([LockName; 5], GrantId), StoreError> {
    let (names, holder) = (["new", "free", "new-too", "free-too", "held"].map(name), grant());
    give_back(store, &names[1], grant()).await?;
    give_back(store, &names[3], grant()).await?;
    taken(store, &names[4], holder, LONG).await?;
    Ok((names, holder))
}

/// All at once: alone, in company, and handed over.
async fn ask_in_all_ways(
    store: &MysqlStore,
    [new, free, new_too, free_too, held]: &[LockName; 5],
    holder: GrantId,
) -> Result<(Vec<AcquireAnswer>, ReleaseAnswer), StoreError> {
    let company = [(new_too, grant()), (free_too, grant())];
    let hand_over = HandOverRequest::new(
        ReleaseRequest::new(held.clone(), holder, Duration::ZERO),
        AcquireRequest::new(held.clone(), grant(), label(), LONG),
    );
    let (new, free, company, handed) = tokio::try_join!(
        acquire(store, new, grant(), LONG),
        acquire(store, free, grant(), LONG),
        acquire_all(store, &company),
        store.hand_over(&hand_over),
    )?;
    Ok(([vec![new, free, handed.next], company].concat(), handed.released))
}

/// The first try broke on a session that had been idle, and for a second one there is no server.
pub(crate) async fn what_may_have_been_done_is_told_though_the_server_is_gone(
    db: &Db,
) -> Result<(), BoxError> {
    let proxy = Proxy::start(db.0.address()).await?;
    let address = proxy.address();
    let store = MysqlStore::connect(&url_at(db.0.url(), address)).await?;
    let (name, id) = (name("kept"), grant());
    taken(&store, &name, id, LONG).await?;
    drop(proxy);
    while TcpStream::connect(address).await.is_ok() {}

    let error = acquire(&store, &name, id, LONG).await.expect_err("there is no server");
    assert_eq!((error.kind(), error.operation()), (StoreErrorKind::Connection, Operation::Acquire));
    let error = acquire(&store, &name, id, LONG).await.expect_err("there is no server");
    assert_eq!((error.kind(), error.operation()), (StoreErrorKind::Connection, Operation::Connect));
    Ok(())
}
