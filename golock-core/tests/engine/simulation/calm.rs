//! After the storm: whatever happened, names become free, waiters get on, and no node is left with anything to do.

use std::time::Duration;

use golock_core::store::Operation;
use tokio::time::{Instant, sleep, timeout};

use super::caller::NAMES;
use super::node::Node;
use crate::common::{ms, options, secs};

/// The longest lease, what an abandoned statement may be late, and what a call that hangs takes.
const FREED_WITHIN: Duration = secs(9 + 5 + 5 + 2);
/// What is left of undos that are repeated, and releases retried, is over by then.
const SETTLED_WITHIN: Duration = secs(40);

/// What is wrong afterwards.
pub(super) async fn judge(nodes: &[Node]) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(everybody_gets_on(nodes).await);
    for node in nodes {
        wrong.extend(one_failed_renewal_stops_nothing(node).await);
    }
    wrong.extend(nothing_is_left(nodes).await);
    wrong
}

/// L1, L2, S17: every node gets every name, though nobody rebuilt its locker.
async fn everybody_gets_on(nodes: &[Node]) -> Vec<String> {
    let mut waiters = Vec::new();
    let began = Instant::now();
    for node in nodes {
        for name in NAMES {
            let (locker, number) = (node.locker.clone(), node.number);
            waiters.push(tokio::spawn(async move {
                let lock = timeout(FREED_WITHIN, locker.lock(options(name))).await;
                let Ok(lock) = lock else {
                    return Some(format!("L1 node {number} waits for {name:?} for {FREED_WITHIN:?}"));
                };
                let waited = began.elapsed();
                let outcome = lock.map(|lock| async { (lock.is_held(), lock.unlock().await) });
                match outcome {
                    Ok(unlocking) => match unlocking.await {
                        (true, Ok(())) => None,
                        other => Some(format!("L1 node {number} on {name:?} after {waited:?}: {other:?}")),
                    },
                    Err(error) => Some(format!("L2 node {number} on {name:?}: {error}")),
                }
            }));
        }
    }
    let mut wrong = Vec::new();
    for waiter in waiters {
        wrong.extend(waiter.await.unwrap());
    }
    wrong
}

/// L3: not the renewal of its lease, and no later lock.
async fn one_failed_renewal_stops_nothing(node: &Node) -> Option<String> {
    let name = format!("own {}", node.number);
    let wanted = options(&name).lock_at_most(ms(900)).auto_renew(true);
    let lock = match node.locker.try_lock(wanted).await {
        Ok(lock) => lock,
        Err(error) => return Some(format!("L3 a name of its own: {error}")),
    };
    let before = node.network.count(Operation::Renew);
    node.stall(ms(300));
    sleep(secs(4)).await;
    let renewals = node.network.count(Operation::Renew) - before;
    let outcome = (lock.is_held(), lock.unlock().await);
    let held_on = matches!(outcome, (true, Ok(()))) && renewals >= 10;
    (!held_on).then(|| format!("L3 after {renewals} renewals: {outcome:?}"))
}

/// S18, L2: no call is made for what nobody waits for, and a shutdown finds nothing.
async fn nothing_is_left(nodes: &[Node]) -> Vec<String> {
    sleep(SETTLED_WITHIN).await;
    let before: Vec<_> = nodes.iter().map(|node| node.network.total()).collect();
    sleep(secs(60)).await;
    let mut wrong = Vec::new();
    for (node, before) in nodes.iter().zip(before) {
        let after = node.network.total();
        if after != before {
            wrong.push(format!("S18 node {} still makes calls: {}", node.number, after - before));
        }
        let held = node.locker.shutdown(secs(1)).await;
        if held > 0 {
            wrong.push(format!("S18 node {} still holds {held} locks", node.number));
        }
    }
    wrong
}
