//! The spaces that are searched, and how. Each is finite and searched in whole; together they hold what may go wrong.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::bugs::Bug;
use crate::client::Patience;
use crate::protocol::{Action, Incident, Protocol, State};

/// Three grants on a bad network: answers and statements lost, late, reordered, a statement duplicated, acquires
/// retried and given up, releases repeated, clients that pause or crash.
pub(crate) fn network() -> Protocol {
    Protocol {
        grants: 3,
        end: 4,
        first: Patience { asks: 2, renewals: 0, endings: 0, fails: true },
        others: Patience { asks: 1, renewals: 0, endings: 0, fails: false },
        on_the_way: 3,
        copies: 1,
        incidents: 0,
        possible: &[],
        bug: None,
    }
}

/// Two grants, one of which renews, to longer and to shorter.
pub(crate) fn renewals() -> Protocol {
    Protocol {
        grants: 2,
        end: 5,
        first: Patience { asks: 1, renewals: 2, endings: 1, fails: true },
        others: Patience { asks: 1, renewals: 0, endings: 0, fails: false },
        on_the_way: 3,
        copies: 1,
        incidents: 0,
        possible: &[],
        bug: None,
    }
}

/// Two grants under an operator, a clock that steps and a row that is lost.
pub(crate) fn incidents() -> Protocol {
    Protocol {
        grants: 2,
        end: 4,
        first: Patience { asks: 2, renewals: 1, endings: 0, fails: true },
        others: Patience { asks: 1, renewals: 0, endings: 0, fails: false },
        on_the_way: 3,
        copies: 0,
        incidents: 1,
        possible: &[
            Incident::ClockAhead,
            Incident::ClockBack,
            Incident::Revoke,
            Incident::ForceUnlock,
            Incident::RowGone,
        ],
        bug: None,
    }
}

/// Searches the whole space of the right protocol: nothing is broken, and what is to be seen is seen, but for
/// `unseen`.
pub(crate) fn search_all(space: Protocol, name: &str, unseen: &[&str]) {
    let checker = space.checker().threads(threads()).spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps between them, {} deep",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    assert!(checker.is_done());
    for property in checker.model().properties() {
        let discovery = checker.discovery(property.name);
        let is_failure = property.expectation.discovery_is_failure();
        match discovery {
            Some(path) if is_failure => panic!("{name}: {} is broken:\n{path}", property.name),
            None if !is_failure => {
                assert!(unseen.contains(&property.name), "{name}: never {}", property.name);
            }
            _ => {}
        }
    }
}

/// Searches the space of a wrong protocol until `property` has fallen.
pub(crate) fn search_until(space: Protocol, bug: Bug, property: &'static str) {
    assert!(
        find(Protocol { bug: Some(bug), ..space }, property).is_some(),
        "{bug:?} is not found by {property:?}"
    );
}

/// How `property` falls, or what it is sometimes seen by.
pub(crate) fn find(space: Protocol, property: &'static str) -> Option<Path<State, Action>> {
    let found = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = space.checker().threads(threads()).finish_when(found).spawn_bfs().join();
    println!("{:?}: {property:?} after {} states", checker.model().bug, checker.unique_state_count());
    checker.discovery(property)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
