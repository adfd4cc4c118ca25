//! What happens to the server and to whole nodes, by chance: the faults of single calls are `Fate`'s.

use std::time::Duration;

use golock_core::{LockName, LockStore};
use rand::RngExt;
use rand::rngs::ChaCha12Rng;
use tokio::time::{Instant, advance, sleep};

use super::caller::{NAMES, some};
use super::judged::Judged;
use super::node::{Node, Weather};
use super::run::chance_of;
use crate::common::name;

/// How many incidents there are in a run.
const INCIDENTS: usize = 8;
/// How many rounds the callers of a node go on for that comes in a dead one's place.
const ROUNDS_LEFT: usize = 3;

/// Lets incidents happen until they are used up. `new_node` makes the one that comes in a dead one's place.
pub(super) async fn rage(
    server: &Judged,
    nodes: &mut Vec<Node>,
    chance: &mut ChaCha12Rng,
    mut new_node: impl FnMut() -> Node,
) {
    for _ in 0..INCIDENTS {
        sleep(some(chance, 4_000)).await;
        let node = chance.random_range(0..nodes.len());
        match chance.random_range(0..10) {
            0 | 1 => restart(server, nodes, some(chance, 3_000), false).await,
            2 if chance.random_bool(0.5) => restart(server, nodes, some(chance, 1_000), true).await,
            2 | 3 => nodes[node].stall(some(chance, 4_000)),
            4 | 5 => {
                nodes.swap_remove(node).crash().await;
                let mut node = new_node();
                node.begin(chance_of(chance), ROUNDS_LEFT);
                nodes.push(node);
            }
            6 => freeze(server, some(chance, 3_000)).await,
            7 => drop(server.revoke(&any_name(chance)).await),
            8 => drop(server.force_unlock(&any_name(chance)).await),
            _ => drop(server.purge(some(chance, 2_000)).await),
        }
    }
}

/// The server is gone for a while, and so is all that it knew if it `loses` it.
async fn restart(server: &Judged, nodes: &[Node], pause: Duration, loses: bool) {
    server.set_down(true);
    nodes.iter().for_each(|node| node.lose_connection(true));
    sleep(pause).await;
    if loses {
        server.lose_all();
    }
    server.set_down(false);
    nodes.iter().for_each(|node| node.lose_connection(false));
}

/// Every node stands still, timers and all, while the server's clock goes on.
async fn freeze(server: &Judged, pause: Duration) {
    server.ledger().frozen_at = Some(Instant::now() + pause);
    advance(pause).await;
}

fn any_name(chance: &mut ChaCha12Rng) -> LockName {
    name(NAMES[chance.random_range(0..NAMES.len())])
}

/// The storm is over for all of them.
pub(super) fn calm_down(nodes: &[Node]) {
    nodes.iter().for_each(|node| node.turn(Weather::Calm));
}
