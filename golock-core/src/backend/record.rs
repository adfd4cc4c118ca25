//! From what a store has kept of a name to its answers: the contract's questions, in their order.

use std::time::Duration;

use crate::store::{AcquireAnswer, LockInfo, ReleaseAnswer, RenewAnswer};
use crate::{FencingToken, GrantId, Holder, Label, LockName, LostReason};

/// What there is of a name, at one moment of the server's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The grant that holds the name, or did when its lease ran out. `None`: it was given back, or taken away.
    pub grant: Option<GrantId>,
    /// The grant that was given back, or taken away, last.
    pub released: Option<GrantId>,
    /// What the holder calls itself.
    pub lock_by: Label,
    /// The token of the last grant.
    pub token: FencingToken,
    /// Since the last grant.
    pub held_for: Duration,
    /// Until the lease runs out, or the `lock_at_least` of one that was given back. Zero: the name is free.
    pub remaining: Duration,
}

impl Record {
    /// The name is taken, be it by `lock_at_least` only.
    pub fn is_alive(&self) -> bool {
        self.remaining > Duration::ZERO
    }

    /// The answer to a grant that asked for the name, by what there is of it *after* the statement.
    pub fn acquired(record: Option<&Self>, grant: GrantId) -> AcquireAnswer {
        match record {
            Some(record) if record.released == Some(grant) || !record.is_alive() => AcquireAnswer::Raced,
            Some(record) if record.grant == Some(grant) => {
                AcquireAnswer::granted(record.token, record.remaining)
            }
            Some(record) => AcquireAnswer::Held(record.holder()),
            // Somebody deleted it just now.
            None => AcquireAnswer::Raced,
        }
    }

    /// The answer to a grant that renews its lease, by what there is of the name *after* the statement.
    pub fn renewed(record: Option<&Self>, grant: GrantId, token: FencingToken) -> RenewAnswer {
        RenewAnswer::Lost(match record {
            None => LostReason::RowGone,
            Some(record) if record.released == Some(grant) => LostReason::Revoked,
            Some(record) if (record.grant, record.token) != (Some(grant), token) => LostReason::Taken,
            Some(record) if !record.is_alive() => LostReason::Expired,
            Some(record) => return RenewAnswer::renewed(record.remaining),
        })
    }

    /// The answer to a grant that is given back, by what there was of the name *before* the statement.
    pub fn released(record: Option<&Self>, grant: GrantId) -> ReleaseAnswer {
        match record {
            None => ReleaseAnswer::NotYours(LostReason::RowGone),
            Some(record) if record.released == Some(grant) => ReleaseAnswer::AlreadyReleased,
            Some(record) if record.grant == Some(grant) => ReleaseAnswer::Released,
            Some(_) => ReleaseAnswer::NotYours(LostReason::Taken),
        }
    }

    /// Who has the name, if anybody does; of no use else.
    pub fn holder(&self) -> Holder {
        Holder::new(self.lock_by.clone(), self.held_for, self.remaining, self.token)
    }

    /// What an operator is told of the name; `None`: it is free.
    pub fn info(&self, name: LockName) -> Option<LockInfo> {
        self.is_alive().then(|| LockInfo::new(name, self.holder(), self.grant.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Record;
    use crate::store::{AcquireAnswer, ReleaseAnswer, RenewAnswer};
    use crate::{FencingToken, GrantId, Label, LockName, LostReason};

    const MINE: GrantId = GrantId::from_bytes([1; 16]);
    const OTHER: GrantId = GrantId::from_bytes([2; 16]);
    const TOKEN: FencingToken = FencingToken::new(7);
    const LEFT: Duration = Duration::from_secs(3);

    fn record(grant: Option<GrantId>, released: Option<GrantId>, remaining: Duration) -> Record {
        Record {
            grant,
            released,
            lock_by: Label::nobody(),
            token: TOKEN,
            held_for: Duration::from_secs(1),
            remaining,
        }
    }

    fn acquired(record: &Record) -> AcquireAnswer {
        Record::acquired(Some(record), MINE)
    }

    fn renewed(record: &Record) -> RenewAnswer {
        Record::renewed(Some(record), MINE, TOKEN)
    }

    fn released(record: &Record) -> ReleaseAnswer {
        Record::released(Some(record), MINE)
    }

    #[test]
    fn whoever_holds_a_name_is_told_so() {
        let mine = record(Some(MINE), Some(OTHER), LEFT);
        assert_eq!(acquired(&mine), AcquireAnswer::granted(TOKEN, LEFT));
        assert_eq!(renewed(&mine), RenewAnswer::renewed(LEFT));
        assert_eq!(released(&mine), ReleaseAnswer::Released);
        let old = FencingToken::new(6);
        assert_eq!(Record::renewed(Some(&mine), MINE, old), RenewAnswer::Lost(LostReason::Taken));
    }

    #[test]
    fn whoever_does_not_is_told_who_does() {
        let its = record(Some(OTHER), None, LEFT);
        assert_eq!(acquired(&its), AcquireAnswer::Held(its.holder()));
        assert_eq!(its.holder().remaining, LEFT);
        assert_eq!(renewed(&its), RenewAnswer::Lost(LostReason::Taken));
        assert_eq!(released(&its), ReleaseAnswer::NotYours(LostReason::Taken));
    }

    #[test]
    fn a_lease_that_ran_out_is_given_back_and_not_extended() {
        let over = record(Some(MINE), None, Duration::ZERO);
        assert_eq!(acquired(&over), AcquireAnswer::Raced);
        assert_eq!(renewed(&over), RenewAnswer::Lost(LostReason::Expired));
        assert_eq!(released(&over), ReleaseAnswer::Released);
    }

    #[test]
    fn a_grant_that_was_given_back_gets_nothing_whoever_has_the_name() {
        for grant in [None, Some(OTHER), Some(MINE)] {
            let record = record(grant, Some(MINE), LEFT);
            assert_eq!(acquired(&record), AcquireAnswer::Raced);
            assert_eq!(renewed(&record), RenewAnswer::Lost(LostReason::Revoked));
            assert_eq!(released(&record), ReleaseAnswer::AlreadyReleased);
        }
    }

    #[test]
    fn without_a_row_nothing_is_held() {
        assert_eq!(Record::acquired(None, MINE), AcquireAnswer::Raced);
        assert_eq!(Record::renewed(None, MINE, TOKEN), RenewAnswer::Lost(LostReason::RowGone));
        assert_eq!(Record::released(None, MINE), ReleaseAnswer::NotYours(LostReason::RowGone));
    }

    #[test]
    fn an_operator_sees_what_is_taken_and_by_what() {
        let info = |record: Record| record.info(LockName::new("job").unwrap()).map(|info| info.released);
        assert_eq!(info(record(Some(OTHER), None, LEFT)), Some(false));
        assert_eq!(info(record(None, Some(OTHER), LEFT)), Some(true), "lock_at_least");
        assert_eq!(info(record(Some(OTHER), None, Duration::ZERO)), None);
    }
}
