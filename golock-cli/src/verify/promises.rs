//! The promises of GUARANTEES.md, and which checks are about which.

use golock_conformance::{Case, Outcome};

/// A promise, by the properties of the suite that are part of it.
pub(super) struct Promise {
    /// As GUARANTEES.md has it; `+` is what the crates' pages promise besides.
    pub(super) number: &'static str,
    pub(super) title: &'static str,
    properties: &'static [&'static str],
}

pub(super) const PROMISES: &[Promise] = &[
    Promise { number: "1", title: "one holder at a time", properties: &["S1"] },
    Promise { number: "2", title: "tokens only grow", properties: &["S3"] },
    Promise { number: "3", title: "the holder knows in time", properties: &["S2", "S9", "S15"] },
    // Who could set the server's clock or this machine's would do it to everybody.
    Promise { number: "4", title: "only the server's clock decides", properties: &["S10", "S11", "S12"] },
    Promise {
        number: "5",
        title: "only the grant renews and releases",
        properties: &["S5", "S6", "S7", "S8"],
    },
    Promise { number: "6", title: "what is dropped leaves nothing", properties: &["S17", "S18", "S19"] },
    Promise { number: "7", title: "a lost reply does no harm", properties: &["S14", "S16"] },
    Promise { number: "8", title: "same bytes, same lock", properties: &["S20", "S21"] },
    Promise { number: "+", title: "lock_at_least is kept", properties: &["S13"] },
    Promise { number: "+", title: "lost data is noticed", properties: &["S22"] },
    Promise {
        number: "+",
        title: "it goes on under load and faults",
        properties: &["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9", "L10"],
    },
    Promise { number: "+", title: "operators' calls do what they say", properties: &[""] },
];

/// What came of the checks of one promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) held: usize,
    pub(super) failed: usize,
    pub(super) not_checked: usize,
}

impl Promise {
    fn is_about(&self, case: &Case) -> bool {
        match case.properties {
            "" => self.properties == [""],
            properties => properties.split(' ').any(|property| self.properties.contains(&property)),
        }
    }

    /// Counts its checks among all that ended.
    pub(super) fn tally(&self, checks: &[(&Case, Outcome)]) -> Tally {
        let mut tally = Tally::default();
        for (_, outcome) in checks.iter().filter(|(case, _)| self.is_about(case)) {
            match outcome {
                Outcome::Passed => tally.held += 1,
                Outcome::Failed(_) => tally.failed += 1,
                Outcome::Ignored(_) => tally.not_checked += 1,
            }
        }
        tally
    }
}

impl Tally {
    pub(super) fn verdict(self) -> &'static str {
        match self {
            Self { failed: 1.., .. } => "BROKEN",
            Self { held: 0, .. } => "not checked",
            _ => "holds",
        }
    }
}

#[cfg(test)]
mod tests {
    use golock_conformance::{Outcome, cases};

    use super::{PROMISES, Tally};

    #[test]
    fn every_check_is_about_a_promise() {
        for case in cases() {
            assert!(PROMISES.iter().any(|promise| promise.is_about(case)), "{case:?}: {}", case.properties);
        }
    }

    #[test]
    fn one_failed_check_breaks_a_promise() {
        let of = |name| cases().iter().find(|case| case.name == name).unwrap();
        let checks = [
            (of("free_name_is_granted"), Outcome::Passed),
            (of("second_locker_is_refused"), Outcome::Failed("no".to_owned())),
            (of("stranger_cannot_renew"), Outcome::Ignored("no".to_owned())),
        ];
        assert_eq!(PROMISES[0].tally(&checks), Tally { held: 1, failed: 1, not_checked: 0 });
        assert_eq!(PROMISES[0].tally(&checks).verdict(), "BROKEN");
        assert_eq!(PROMISES[4].tally(&checks).verdict(), "not checked");
    }
}
