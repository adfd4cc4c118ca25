//! A model of the protocol between clients and a store, as `DESIGN.md` and the docs of `LockStore` have it: one name,
//! and every way in which a few clients, a bad network, clocks and an operator can interfere, searched in whole.
//!
//! * [`server`]: the row, and what each statement does to it; [`client`]: what the engine does for one grant;
//! * [`protocol`]: the two together, with everything that may happen between them;
//! * [`laws`]: the ledger of what was promised, and what a deed breaks; [`properties`]: what is asked of each state;
//! * [`spaces`]: how much of it is searched; [`bugs`]: wrong protocols, each found.
//!
//! What it abstracts from: time has few ticks, a client makes few tries, and everything ends at a fixed tick.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by unwrapping it")]
#![allow(clippy::print_stdout, reason = "how much was searched is to be read and written down")]

mod bugs;
mod client;
mod laws;
mod properties;
mod protocol;
mod server;
mod spaces;

use self::properties::{KNOWN_LIMIT, LATE};
use self::spaces::{find, incidents, network, renewals, search_all};

#[test]
fn protocol_holds_on_a_bad_network() {
    search_all(network(), "network", &[]);
}

#[test]
fn protocol_holds_while_leases_are_renewed() {
    search_all(renewals(), "renewals", &[]);
}

#[test]
fn protocol_holds_under_incidents() {
    search_all(incidents(), "incidents", &[LATE]);
}

/// The limit of promise 7: another undo takes the place of the first one's mark, while the first one's acquire is still
/// on its way. That acquire is granted then, to nobody. `protocol_holds_on_a_bad_network` says how it ends in any case:
/// by the repeated undo, or by the lease, which nobody renews.
#[test]
fn acquire_whose_undo_was_displaced_holds_the_name_for_nobody() {
    let path = find(network(), KNOWN_LIMIT).unwrap();
    let state = path.last_state();
    assert!(state.clients.iter().all(|client| !client.believes(state.now)), "nobody believes in it: {path}");
}
