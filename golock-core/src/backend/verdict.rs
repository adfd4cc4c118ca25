//! From what a statement says of a name to an answer: the words that statements use, in one place.

use std::time::Duration;

use crate::store::{
    AcquireAnswer, HandOverAnswer, LockInfo, Operation, ReleaseAnswer, RenewAnswer, StoreError,
    StoreErrorKind,
};
use crate::{FencingToken, Holder, Label, LockName, LostReason};

/// What a statement that decides by itself says of one name: the outcome, and what belongs to it. (Where statements only tell
/// what there is of a name, [`Record`](super::Record) decides.)
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whose statement it is.
    pub backend: &'static str,
    /// What it was to do.
    pub operation: Operation,
    /// The word for what came of it.
    pub outcome: String,
    /// The token of the last grant.
    pub token: Option<FencingToken>,
    /// Until the lease runs out, or the `lock_at_least` of one that was given back.
    pub remaining: Option<Duration>,
    /// Since the last grant.
    pub held_for: Option<Duration>,
    /// What the holder calls itself.
    pub lock_by: Option<Label>,
}

impl Verdict {
    /// The outcome alone: enough where nothing belongs to it.
    pub fn new(backend: &'static str, operation: Operation, outcome: impl Into<String>) -> Self {
        let outcome = outcome.into();
        Self { backend, operation, outcome, token: None, remaining: None, held_for: None, lock_by: None }
    }

    /// `None` if it is `busy`: nothing was decided, for another transaction has the row.
    pub fn unless_busy(self) -> Option<Self> {
        (self.outcome != "busy").then_some(self)
    }

    /// `granted` with a token and what remains; `held` with a holder, unless nothing remains of it; `raced`.
    ///
    /// # Errors
    /// [`StoreErrorKind::Other`]: another word, or something that belongs to it is missing.
    pub fn acquired(&self) -> Result<AcquireAnswer, StoreError> {
        match &*self.outcome {
            "granted" => Ok(AcquireAnswer::granted(self.with(self.token)?, self.with(self.remaining)?)),
            "held" if self.with(self.remaining)? > Duration::ZERO => self.holder().map(AcquireAnswer::Held),
            "held" | "raced" => Ok(AcquireAnswer::Raced),
            _ => Err(self.unexpected()),
        }
    }

    /// `renewed` with what remains, `gone`, `revoked`, `expired` or `taken`.
    ///
    /// # Errors
    /// As [`acquired`](Self::acquired).
    pub fn renewed(&self) -> Result<RenewAnswer, StoreError> {
        Ok(RenewAnswer::Lost(match &*self.outcome {
            "renewed" => return self.with(self.remaining).map(RenewAnswer::renewed),
            "gone" => LostReason::RowGone,
            "revoked" => LostReason::Revoked,
            "expired" => LostReason::Expired,
            "taken" => LostReason::Taken,
            _ => return Err(self.unexpected()),
        }))
    }

    /// `released`, `already`, `taken` or `gone`.
    ///
    /// # Errors
    /// As [`acquired`](Self::acquired).
    pub fn released(&self) -> Result<ReleaseAnswer, StoreError> {
        Ok(match &*self.outcome {
            "released" => ReleaseAnswer::Released,
            "already" => ReleaseAnswer::AlreadyReleased,
            "taken" => ReleaseAnswer::NotYours(LostReason::Taken),
            "gone" => ReleaseAnswer::NotYours(LostReason::RowGone),
            _ => return Err(self.unexpected()),
        })
    }

    /// `granted` if the grant was given back and the next has the name, with what an acquire says then; else the release's own word.
    ///
    /// # Errors
    /// As [`acquired`](Self::acquired).
    pub fn handed_over(&self) -> Result<HandOverAnswer, StoreError> {
        if self.outcome == "granted" {
            return self.acquired().map(|next| HandOverAnswer::new(ReleaseAnswer::Released, next));
        }
        self.released().map(|released| HandOverAnswer::new(released, AcquireAnswer::Raced))
    }

    /// `fenced` with the new token, or `free`.
    ///
    /// # Errors
    /// As [`acquired`](Self::acquired).
    pub fn fenced(&self) -> Result<Option<FencingToken>, StoreError> {
        match &*self.outcome {
            "fenced" => self.with(self.token).map(Some),
            "free" => Ok(None),
            _ => Err(self.unexpected()),
        }
    }

    /// `held` with a holder, or `kept` with the last one, by its `lock_at_least`; `free`.
    ///
    /// # Errors
    /// As [`acquired`](Self::acquired).
    pub fn info(&self, name: LockName) -> Result<Option<LockInfo>, StoreError> {
        match &*self.outcome {
            "held" | "kept" => Ok(Some(LockInfo::new(name, self.holder()?, self.outcome == "kept"))),
            "free" => Ok(None),
            _ => Err(self.unexpected()),
        }
    }

    fn holder(&self) -> Result<Holder, StoreError> {
        let (lock_by, held_for) = (self.with(self.lock_by.clone())?, self.with(self.held_for)?);
        Ok(Holder::new(lock_by, held_for, self.with(self.remaining)?, self.with(self.token)?))
    }

    fn with<T>(&self, what: Option<T>) -> Result<T, StoreError> {
        what.ok_or_else(|| self.unexpected())
    }

    fn unexpected(&self) -> StoreError {
        let why = format!("an answer that golock's statements don't give: {}", self.outcome);
        StoreError::new(self.backend, self.operation, StoreErrorKind::Other, why)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Verdict;
    use crate::store::{AcquireAnswer, HandOverAnswer, Operation, ReleaseAnswer, RenewAnswer, StoreError};
    use crate::{FencingToken, Holder, Label, LockName, LostReason};

    const TOKEN: FencingToken = FencingToken::new(7);
    const LEFT: Duration = Duration::from_secs(3);
    const SINCE: Duration = Duration::from_secs(1);

    fn alone(outcome: &str) -> Verdict {
        Verdict::new("test", Operation::Acquire, outcome)
    }

    fn whole(outcome: &str) -> Verdict {
        let lock_by = Some(Label::nobody());
        let (token, remaining, held_for) = (Some(TOKEN), Some(LEFT), Some(SINCE));
        Verdict { token, remaining, held_for, lock_by, ..alone(outcome) }
    }

    fn holder() -> Holder {
        Holder::new(Label::nobody(), SINCE, LEFT, TOKEN)
    }

    fn said<T>(answer: Result<T, StoreError>) -> Option<T> {
        answer.ok()
    }

    #[test]
    fn an_acquire_says_who_has_the_name() {
        let acquired = |verdict: Verdict| said(verdict.acquired());
        assert_eq!(acquired(whole("granted")), Some(AcquireAnswer::granted(TOKEN, LEFT)));
        assert_eq!(acquired(whole("held")), Some(AcquireAnswer::Held(holder())));
        let over = Verdict { remaining: Some(Duration::ZERO), ..whole("held") };
        assert_eq!(acquired(over), Some(AcquireAnswer::Raced), "nobody is named who holds nothing");
        assert_eq!(acquired(alone("raced")), Some(AcquireAnswer::Raced));
        for without in [
            Verdict { token: None, ..whole("granted") },
            Verdict { remaining: None, ..whole("granted") },
            Verdict { lock_by: None, ..whole("held") },
            whole("free"),
        ] {
            assert_eq!(acquired(without), None);
        }
    }

    #[test]
    fn a_renewal_says_what_is_left_or_how_it_was_lost() {
        let renewed = |verdict: Verdict| said(verdict.renewed());
        assert_eq!(renewed(whole("renewed")), Some(RenewAnswer::renewed(LEFT)));
        assert_eq!(renewed(alone("renewed")), None, "a lease of unknown length");
        for (word, reason) in [
            ("gone", LostReason::RowGone),
            ("revoked", LostReason::Revoked),
            ("expired", LostReason::Expired),
            ("taken", LostReason::Taken),
        ] {
            assert_eq!(renewed(alone(word)), Some(RenewAnswer::Lost(reason)), "{word}");
        }
        assert_eq!(renewed(whole("busy")), None);
        assert!(alone("busy").unless_busy().is_none() && alone("gone").unless_busy().is_some());
    }

    #[test]
    fn a_release_says_whether_the_grant_held() {
        let released = |word| said(alone(word).released());
        assert_eq!(released("released"), Some(ReleaseAnswer::Released));
        assert_eq!(released("already"), Some(ReleaseAnswer::AlreadyReleased));
        assert_eq!(released("taken"), Some(ReleaseAnswer::NotYours(LostReason::Taken)));
        assert_eq!(released("gone"), Some(ReleaseAnswer::NotYours(LostReason::RowGone)));
        assert_eq!(released("busy"), None);
        let next = AcquireAnswer::granted(TOKEN, LEFT);
        let both = |released, next| Some(HandOverAnswer::new(released, next));
        assert_eq!(said(whole("granted").handed_over()), both(ReleaseAnswer::Released, next));
        assert_eq!(
            said(alone("already").handed_over()),
            both(ReleaseAnswer::AlreadyReleased, AcquireAnswer::Raced)
        );
    }

    #[test]
    fn an_operator_is_told_what_is_taken() {
        let info = |word| said(whole(word).info(LockName::new("job").unwrap()));
        assert_eq!(info("held").flatten().map(|info| info.released), Some(false));
        assert_eq!(info("kept").flatten().map(|info| info.released), Some(true));
        assert_eq!(info("free"), Some(None));
        assert_eq!(info("gone"), None);
        assert_eq!(said(whole("fenced").fenced()), Some(Some(TOKEN)));
        assert_eq!(said(alone("free").fenced()), Some(None));
        assert_eq!(said(alone("fenced").fenced()), None);
    }

    #[test]
    fn a_word_that_no_statement_has_is_told_with_the_operation() {
        let error = alone("late").acquired().unwrap_err();
        assert_eq!((error.backend(), error.operation()), ("test", Operation::Acquire));
        assert!(std::error::Error::source(&error).unwrap().to_string().ends_with("late"));
    }
}
