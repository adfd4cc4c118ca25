//! Renewals of many leases: how many commands they are, and what one that fails costs the others.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use golock_core::{Lock, LockOptions, LostReason};

use crate::commands::calls;
use crate::own::Own;

const LEASES: u64 = 10_000;
const LEASE: Duration = Duration::from_secs(30);

/// Each is renewed once in a third of its lease. That takes a command for each 700, and one more for each time at which some
/// are due: those due within a tenth of the lease go together.
pub(crate) async fn ten_thousand_leases_are_renewed_by_two_commands_a_second_at_most(server: &Own) {
    let locker = golock_redis::connect(server.url()).await.unwrap();
    let options = |number| LockOptions::new(format!("job {number}")).lock_at_most(LEASE).auto_renew(true);
    let locks = stream::iter(0..LEASES).map(|number| locker.lock(options(number))).buffer_unordered(64);
    let locks: Vec<Lock> = locks.try_collect().await.unwrap();

    let admin = server.admin().await;
    let round = async || {
        admin.run(&["CONFIG", "RESETSTAT"]).await.unwrap();
        loop {
            let stats = admin.run(&["INFO", "commandstats"]).await.unwrap();
            // Once in each renewal.
            if calls(&stats, "pexpire") >= LEASES {
                return stats;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // In the first the server may not know the script yet: each command that finds it so is sent again.
    round().await;
    let stats = round().await;
    let commands = calls(&stats, "evalsha") + calls(&stats, "eval");
    assert!(commands <= 2 * LEASE.as_secs() / 3, "{commands} commands in a third of {LEASE:?}: {stats}");
    let lost: Vec<_> = locks.iter().filter(|lock| !lock.is_held()).map(|lock| lock.name().as_str()).collect();
    assert_eq!(lost, [""; 0]);
}

/// Somebody writes over one key: the script fails for it, and for no other.
pub(crate) async fn a_key_that_is_written_over_costs_one_lease(server: &Own) {
    let locker = golock_redis::connect(server.url()).await.unwrap();
    let lease = Duration::from_secs(6);
    let options = |number| LockOptions::new(format!("job {number}")).lock_at_most(lease).auto_renew(true);
    let locks = stream::iter(0..200).map(|number| locker.lock(options(number))).buffer_unordered(64);
    let mut locks: Vec<Lock> = locks.try_collect().await.unwrap();
    let spoiled = locks.swap_remove(100);
    server.run(&["SET", &format!("golock:{}", spoiled.name()), "no hash"]).await;

    assert_eq!(spoiled.lost().await, LostReason::Expired, "nobody can say what became of it");
    // The others were granted at about the same time, and would be over by now.
    tokio::time::sleep(lease / 4).await;
    let lost: Vec<_> = locks.iter().filter(|lock| !lock.is_held()).map(|lock| lock.name().as_str()).collect();
    assert_eq!(lost, [""; 0]);
}
