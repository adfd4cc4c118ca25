//! The check of refusals: each needs somebody who may have held the name meanwhile.

use std::time::{Duration, Instant};

use super::check::by_name;
use super::disturbances::Disturbances;
use super::{End, Grant, History, Violation};

/// Finds callers that were refused when nobody can have held the name. Whoever asked at all may have held it: from when it asked
/// until it was refused or had given back what it got, and otherwise for a lease (and a second) after it had ended. A fault
/// excuses what is refused within that time of it.
pub(super) fn refusals(history: &History, violations: &mut Vec<Violation>) {
    let patience = history.patience();
    let disturbances = Disturbances::new(&history.disturbances);
    let mut grants = by_name(&history.grants, |grant| &grant.name);
    let mut unknown = by_name(&history.unknown, |asked| &asked.name);
    for (name, refused) in by_name(&history.refusals, |asked| &asked.name) {
        let grants = grants.remove(name).unwrap_or_default();
        let unknown = unknown.remove(name).unwrap_or_default();
        let granted = grants.iter().map(|grant| Span { from: grant.asked, to: held_until(grant, patience) });
        let given_up =
            unknown.iter().map(|asked| Span { from: asked.asked, to: Some(asked.ended + patience) });
        let asking = refused.iter().map(|asked| Span { from: asked.asked, to: Some(asked.ended) });
        let spans = Spans::new(granted.chain(given_up).chain(asking).collect());
        for asked in refused {
            let own = Span { from: asked.asked, to: Some(asked.ended) };
            if !disturbances.excuse(asked.asked, asked.ended, patience)
                && let Some(Free::For(free_for)) = spans.last_besides(own)
            {
                violations.push(Violation::RefusedFree { name: name.clone(), free_for });
            }
        }
    }
}

/// Until when the grant may stand in the store: `None` if its holder has it still.
fn held_until(grant: &Grant, patience: Duration) -> Option<Instant> {
    match grant.end? {
        End::GivenBack(at) => Some(at),
        End::Left(at) => Some(at + patience),
    }
}

/// When somebody may have held the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Instant,
    to: Option<Instant>,
}

enum Free {
    /// Nobody can have held it: since this long before the refused call, or ever.
    For(Option<Duration>),
    /// Somebody may have held it.
    No,
}

/// Spans by their begin, each with the two that last longest among those up to it: one of them may be the refused call's own.
struct Spans {
    sorted: Vec<Span>,
    longest: Vec<[Option<Span>; 2]>,
}

impl Spans {
    fn new(mut sorted: Vec<Span>) -> Self {
        sorted.sort_by_key(|span| span.from);
        let mut top = [None, None];
        let longest = sorted.iter().map(|span| {
            if lasts(Some(*span)) > lasts(top[0]) {
                top = [Some(*span), top[0]];
            } else if lasts(Some(*span)) > lasts(top[1]) {
                top[1] = Some(*span);
            }
            top
        });
        let longest = longest.collect();
        Self { sorted, longest }
    }

    /// What is known of the others that asked before the refused call had ended.
    fn last_besides(&self, own: Span) -> Option<Free> {
        let up_to = self.sorted.partition_point(|span| Some(span.from) <= own.to);
        let top = self.longest.get(up_to.checked_sub(1)?)?;
        let other = if top[0] == Some(own) { top[1] } else { top[0] };
        Some(match other {
            Some(Span { to: Some(to), .. }) if to < own.from => Free::For(Some(own.from - to)),
            None => Free::For(None),
            Some(_) => Free::No,
        })
    }
}

/// For comparing: not at all, until a time, for ever.
fn lasts(span: Option<Span>) -> (u8, Option<Instant>) {
    match span {
        None => (0, None),
        Some(Span { to: Some(to), .. }) => (1, Some(to)),
        Some(Span { to: None, .. }) => (2, None),
    }
}
