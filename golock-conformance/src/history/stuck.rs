//! The check of names that stay taken when nobody holds them.

use std::collections::HashMap;
use std::time::Duration;

use super::disturbances::Disturbances;
use super::{End, History, Violation};

/// Finds names that were seen taken, under one token, for more than a lease and a second after the holder of that token had let
/// it go (a holder that nobody knows: after the token was first seen), and after the last fault. Returns the longest stay.
///
/// While a fault stands nothing is found, and a fault that ends begins a new lease: what was on its way may have arrived only then.
pub(super) fn stuck(history: &History, violations: &mut Vec<Violation>) -> Duration {
    let ends: HashMap<_, _> = history
        .grants
        .iter()
        .map(|grant| {
            let end = grant.end.map(|(End::GivenBack(at) | End::Left(at))| at);
            ((&grant.name, grant.token), end)
        })
        .collect();
    let disturbances = Disturbances::new(&history.disturbances);
    let mut first_seen = HashMap::new();
    let mut stays = HashMap::<_, Duration>::new();
    for sighting in &history.sightings {
        let key = (&sighting.name, sighting.token);
        let first = *first_seen.entry(key).or_insert(sighting.looked);
        let left = match ends.get(&key) {
            Some(None) => continue, // It is held.
            Some(Some(end)) => *end,
            None => first,
        };
        let Some(undisturbed) = disturbances.undisturbed_at(sighting.looked) else { continue };
        let since = undisturbed.map_or(left, |since| since.max(left));
        let stay = stays.entry(key).or_default();
        *stay = (*stay).max(sighting.looked.saturating_duration_since(since));
    }
    let mut longest = Duration::ZERO;
    for ((name, token), stayed) in stays {
        longest = longest.max(stayed);
        if stayed > history.patience() {
            violations.push(Violation::Stuck { name: name.clone(), token, stayed });
        }
    }
    longest
}
