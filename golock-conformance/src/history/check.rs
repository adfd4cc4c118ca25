//! The check of tokens, beliefs and writes, and the verdict over all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use golock_core::{FencingToken, LockName};

use super::refusals::refusals;
use super::steps::Steps;
use super::stuck::stuck;
use super::{Grant, History, Violation, Write};

/// What a check found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verdict {
    /// What can't have been, by name. Empty: nothing was found.
    pub violations: Vec<Violation>,
    /// The longest that a name was seen taken when nobody held it and no fault stood.
    pub longest_stay: Duration,
}

impl History {
    /// Looks for everything that no lock allows.
    pub fn check(&self) -> Verdict {
        let mut violations = Vec::new();
        let steps = Steps::new(self);
        for grants in by_name(&self.grants, |grant| &grant.name).into_values() {
            tokens_increase(grants.clone(), &mut violations);
            beliefs_are_apart(grants, &steps, self.rounding, &mut violations);
        }
        self.register_goes_up(&steps, &mut violations);
        refusals(self, &mut violations);
        let longest_stay = stuck(self, &mut violations);
        Verdict { violations, longest_stay }
    }

    fn register_goes_up(&self, steps: &Steps, violations: &mut Vec<Violation>) {
        let grants: BTreeMap<_, _> =
            self.grants.iter().map(|grant| ((&grant.name, grant.token), grant)).collect();
        // Whether a step of the server's clock explains that a write was refused.
        let is_explained = |write: &Write, newest| {
            let refused = grants.get(&(&write.name, write.token)).zip(grants.get(&(&write.name, newest)));
            refused.is_some_and(|(refused, newest)| steps.explain(refused, newest))
        };
        let mut newest = BTreeMap::<&LockName, FencingToken>::new();
        for write in &self.writes {
            let newest = newest.entry(&write.name).or_insert(write.token);
            if write.taken && write.token < *newest {
                let (name, taken) = (write.name.clone(), write.token);
                violations.push(Violation::FencedBack { name, newest: *newest, taken });
            }
            if !write.taken && write.believed && !is_explained(write, *newest) {
                let (name, refused) = (write.name.clone(), write.token);
                violations.push(Violation::FencedOut { name, newest: *newest, refused });
            }
            if write.taken {
                *newest = write.token.max(*newest);
            }
        }
    }
}

/// No token twice, and none that goes back from a grant to one that was asked for when the other had been received.
fn tokens_increase(mut grants: Vec<&Grant>, violations: &mut Vec<Violation>) {
    grants.sort_by_key(|grant| grant.token);
    for pair in grants.windows(2) {
        if pair[0].token == pair[1].token {
            violations.push(Violation::TokenTwice { name: pair[0].name.clone(), token: pair[0].token });
        }
    }
    let mut received = grants.clone();
    received.sort_by_key(|grant| grant.received);
    let mut received = received.into_iter().peekable();
    grants.sort_by_key(|grant| grant.asked);
    let mut largest: Option<FencingToken> = None;
    for later in grants {
        while let Some(earlier) = received.next_if(|grant| grant.received < later.asked) {
            largest = largest.max(Some(earlier.token));
        }
        // Equal ones have been told of.
        if let Some(first) = largest.filter(|first| *first > later.token) {
            violations.push(Violation::TokenBack { name: later.name.clone(), first, later: later.token });
        }
    }
}

/// Nobody received the name, and believed in it, while one before still did.
fn beliefs_are_apart(
    grants: Vec<&Grant>,
    steps: &Steps,
    rounding: Duration,
    violations: &mut Vec<Violation>,
) {
    let beliefs = grants.into_iter().filter_map(|grant| Some((grant, steps.belief(grant)?)));
    let mut beliefs: Vec<_> = beliefs.collect();
    beliefs.sort_by_key(|(grant, _)| grant.received);
    let mut longest: Option<(&Grant, Instant)> = None;
    for (second, until) in beliefs {
        if let Some((first, believed)) = longest {
            let by = believed.saturating_duration_since(second.received);
            if by > rounding {
                let (name, first, second) = (second.name.clone(), first.token, second.token);
                violations.push(Violation::Overlap { name, first, second, by });
            }
        }
        longest = longest.filter(|(_, believed)| *believed >= until).or(Some((second, until)));
    }
}

pub(super) fn by_name<'a, T>(
    all: &'a [T],
    name: impl Fn(&'a T) -> &'a LockName,
) -> BTreeMap<&'a LockName, Vec<&'a T>> {
    let mut by_name = BTreeMap::<_, Vec<_>>::new();
    for one in all {
        by_name.entry(name(one)).or_default().push(one);
    }
    by_name
}
