//! What is asked of every state, and what some state must show, or else the search has not been where it matters.

use stateright::Property;

use crate::client::{Phase, STATEMENT};
use crate::laws::{Law, Life};
use crate::protocol::{Protocol, State};
use crate::server::LEASE;

pub(crate) const BELIEFS: &str = "S2 beliefs never overlap";
pub(crate) const ORPHAN: &str = "S14 what was undone is free once its undo has ended";
pub(crate) const BOUNDED: &str = "S14 a lease of nobody runs out";
pub(crate) const LATE: &str = "an acquire arrives after its lock was given back";
pub(crate) const KNOWN_LIMIT: &str = "known limit: an acquire outruns its displaced undo";

/// The laws that the ledger judges.
pub(crate) fn laws() -> Vec<Property<Protocol>> {
    macro_rules! never {
        ($($law:ident),* $(,)?) => { vec![$(
            Property::always(Law::$law.name(), |_, state: &State| !state.breaks(Law::$law))
        ),*] };
    }
    never![
        OneLiveGrant,
        TokensIncrease,
        OnlyTheGrantReleasesAndRenews,
        UnlockIsIdempotent,
        RenewNeverRevives,
        RenewNeverShortens,
        NoRenewAfterUnlock,
        LateGrantIsNoSuccess,
        RetryKeepsItsToken,
        ReleasedGrantStaysReleased,
    ]
}

/// What shows in a state as such.
pub(crate) fn always() -> Vec<Property<Protocol>> {
    vec![
        Property::always(BELIEFS, |_, state: &State| {
            let believers = state.clients.iter().filter(|client| client.believes(state.now));
            state.ledger.fenced_only || believers.count() <= 1
        }),
        // A duplicate that somebody else makes of an acquire is not waited for: nobody knows of it.
        Property::always(ORPHAN, |_, state: &State| {
            state.grants().all(|(grant, client)| {
                let life = state.ledger.lives[usize::from(grant)];
                let alive = state.ledger.is_alive(grant, state.server_now);
                client.phase != Phase::Done || !alive || life.is_some_and(|life| life.by_copy)
            })
        }),
        // Nobody renews it, and the last of its acquires can't arrive any more when their time is over.
        Property::always(BOUNDED, |_, state: &State| {
            let bound = |life: &Life| life.until <= life.since + STATEMENT + LEASE;
            let mut revived = state.ledger.lives.iter().flatten().filter(|life| life.revived);
            state.ledger.fenced_only || revived.all(bound)
        }),
    ]
}

pub(crate) fn sometimes() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("a crashed holder's name is taken over", |_, state: &State| {
            state.clients.iter().any(|client| client.phase == Phase::Crashed)
                && state.clients.iter().any(|client| client.believes(state.now))
        }),
        Property::sometimes("a holder that paused finds its name taken", |_, state: &State| {
            state.grants().any(|(grant, client)| {
                matches!(client.phase, Phase::Holding { .. })
                    && !client.believes(state.now)
                    && state.row.and_then(|row| row.grant).is_some_and(|holder| holder != grant)
            })
        }),
        Property::sometimes("an undo overtakes its acquire", |_, state: &State| {
            state.grants().any(|(grant, client)| {
                let marked = state.row.is_some_and(|row| row.released == Some(grant) && row.grant.is_none());
                let undone = matches!(client.phase, Phase::Ending { .. });
                undone && marked && state.acquire_is_on_its_way(grant) && state.ledger.was_given_back(grant)
            })
        }),
        Property::sometimes(LATE, |_, state: &State| {
            state.grants().any(|(grant, client)| {
                client.phase == Phase::Done
                    && state.ledger.was_given_back(grant)
                    && state.acquire_is_on_its_way(grant)
            })
        }),
        Property::sometimes(KNOWN_LIMIT, |_, state: &State| {
            state.ledger.lives.iter().flatten().any(|life| life.revived && life.until > state.server_now)
        }),
    ]
}
