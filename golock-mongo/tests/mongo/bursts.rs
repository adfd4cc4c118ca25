//! Many calls at once, over a network that is slow.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use golock_conformance::proxy::{Direction, Proxy};
use golock_conformance::servers::{Server, url_at};
use golock_core::{Lock, LockOptions, Locker};
use golock_mongo::MongoStore;
use tokio::time::timeout;

use crate::LONG;
use crate::server::{DATABASE, unique, url_with};

/// On the six connections that a pool of one has for releases they take ten seconds, and so longer than the lease that is renewed
/// meanwhile. Few at once, for renewals get a quarter of it, whatever else keeps this machine busy.
const UNLOCKS: usize = 200;
const ROUND_TRIP: Duration = Duration::from_millis(300);
const LEASE: Duration = Duration::from_secs(6);

pub(crate) async fn a_burst_of_unlocks_costs_no_lease(server: Arc<Server>) {
    let proxy = Proxy::start(server.address()).await.unwrap();
    let url = url_with(&url_at(server.url(), proxy.address()), "maxPoolSize=1");
    let builder = MongoStore::builder().database(DATABASE).collection(unique("burst"));
    // None of the unlocks is given up, however slow this machine is.
    let store = builder.request_timeout(LONG).connect(&url).await.unwrap();
    let locker = Locker::new(store);
    let ended = (0..UNLOCKS).map(|at| {
        let (locker, options) = (&locker, LockOptions::new(format!("ended-{at}")).lock_at_most(LONG));
        async move { locker.try_lock(options).await.unwrap() }
    });
    let ended = join_all(ended).await;
    let kept = LockOptions::new("kept").lock_at_most(LEASE).auto_renew(true);
    let kept = locker.try_lock(kept).await.unwrap();

    proxy.delay(Direction::ToClient, ROUND_TRIP);
    let unlocked = join_all(ended.into_iter().map(Lock::unlock));
    let (lost, unlocked) = join(timeout(LEASE * 3 / 2, kept.lost()), unlocked).await;
    assert!(lost.is_err(), "{lost:?}");
    assert!(unlocked.iter().all(Result::is_ok), "{unlocked:?}");
    kept.unlock().await.unwrap();
}
