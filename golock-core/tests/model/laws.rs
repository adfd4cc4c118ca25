//! What must hold, and the ledger that it is judged by: what the server has promised to whom, kept apart from the
//! row, so that a wrong statement can't change both.

use crate::server::{Answer, Grant, Row, Statement, Tick, Token, changed_by_a_stranger};

/// The properties of the catalogue that are judged when a statement or an answer is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Law {
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
}

impl Law {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneLiveGrant => "S1 at most one live grant",
            Self::TokensIncrease => "S3 tokens increase",
            Self::OnlyTheGrantReleasesAndRenews => "S5 only the grant releases and renews",
            Self::UnlockIsIdempotent => "S6 unlock is idempotent",
            Self::RenewNeverRevives => "S7 a renewal never revives",
            Self::RenewNeverShortens => "S7 a renewal never shortens",
            Self::NoRenewAfterUnlock => "S8 no renewal after unlock",
            Self::LateGrantIsNoSuccess => "S9 a grant that comes too late is no success",
            Self::RetryKeepsItsToken => "S14 a retry keeps its token",
            Self::ReleasedGrantStaysReleased => "S14 a released grant stays released",
        }
    }
}

/// A lease that the server has promised and not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Life {
    /// Where it matters: when it was granted.
    pub(crate) since: Tick,
    pub(crate) until: Tick,
    pub(crate) token: Token,
    /// Granted to a duplicate of an acquire that somebody else made of it.
    pub(crate) by_copy: bool,
    /// Granted although its client had given it back before: another release had taken the place of its own.
    pub(crate) revived: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    pub(crate) lives: Vec<Option<Life>>,
    /// Grants that were given back, and not granted again since: one bit each.
    pub(crate) given_back: u8,
    /// Of those, the grants that their own clients gave back.
    undone: u8,
    /// The newest token that was handed out.
    newest: Token,
    last_released: Option<Grant>,
    /// Beliefs may overlap from here on: the server's clock jumped ahead, an operator forced the name open, the row
    /// was lost. Then only the token protects.
    pub(crate) fenced_only: bool,
    /// The first law that was broken.
    pub(crate) broken: Option<Law>,
}

/// One statement as the server carried it out.
pub(crate) struct Deed {
    pub(crate) grant: Grant,
    pub(crate) statement: Statement,
    pub(crate) copy: bool,
    pub(crate) before: Option<Row>,
    pub(crate) after: Option<Row>,
    pub(crate) answer: Answer,
    /// By the server's clock.
    pub(crate) now: Tick,
}

impl Ledger {
    pub(crate) fn of(grants: u8) -> Self {
        Self { lives: vec![None; grants.into()], ..Self::default() }
    }

    pub(crate) fn is_alive(&self, grant: Grant, now: Tick) -> bool {
        self.lives[usize::from(grant)].is_some_and(|life| life.until > now)
    }

    pub(crate) fn was_given_back(&self, grant: Grant) -> bool {
        self.given_back & (1 << grant) != 0
    }

    pub(crate) fn breaks(&mut self, law: Law) {
        self.broken.get_or_insert(law);
    }

    pub(crate) fn judge(&mut self, deed: &Deed) {
        match deed.statement {
            Statement::Acquire => self.judge_acquire(deed),
            Statement::Renew { .. } => self.judge_renewal(deed),
            Statement::Release => self.judge_release(deed),
        }
    }

    fn judge_acquire(&mut self, deed: &Deed) {
        let Answer::Granted { token, remaining } = deed.answer else {
            return self.expect_unchanged(deed, Law::OnlyTheGrantReleasesAndRenews);
        };
        if self.last_released == Some(deed.grant) {
            self.breaks(Law::ReleasedGrantStaysReleased);
        }
        let others = (0..self.lives.len() as Grant).filter(|grant| *grant != deed.grant);
        if others.into_iter().any(|other| self.is_alive(other, deed.now)) {
            self.breaks(Law::OneLiveGrant);
        }
        let until = deed.now + remaining;
        let place = usize::from(deed.grant);
        match self.lives[place].filter(|life| life.until > deed.now) {
            Some(life) if token != life.token => self.breaks(Law::RetryKeepsItsToken),
            Some(life) if until < life.until => self.breaks(Law::RenewNeverShortens),
            Some(life) => self.lives[place] = Some(Life { until, ..life }),
            None => {
                self.issued(token);
                // Whoever was granted before has run out: no step of the clock brings it back.
                self.lives.fill(None);
                let revived = self.undone & (1 << deed.grant) != 0;
                self.given_back &= !(1 << deed.grant);
                self.undone &= !(1 << deed.grant);
                self.lives[place] = Some(Life {
                    since: if revived { deed.now } else { 0 },
                    until,
                    token,
                    by_copy: deed.copy,
                    revived,
                });
            }
        }
    }

    fn judge_renewal(&mut self, deed: &Deed) {
        self.judge_stranger(deed);
        let shortened = deed.before.zip(deed.after).is_some_and(|(old, new)| new.expires_at < old.expires_at);
        if shortened {
            self.breaks(Law::RenewNeverShortens);
        }
        let Answer::Renewed { remaining, lease } = deed.answer else {
            return self.expect_unchanged(deed, Law::OnlyTheGrantReleasesAndRenews);
        };
        let life = self.lives[usize::from(deed.grant)];
        let of_this_grant = |life: Life| Statement::Renew { token: life.token, lease } == deed.statement;
        if self.was_given_back(deed.grant) || !life.is_none_or(of_this_grant) {
            self.breaks(Law::NoRenewAfterUnlock);
        }
        if !self.is_alive(deed.grant, deed.now) {
            return self.breaks(Law::RenewNeverRevives);
        }
        if let Some(life) = &mut self.lives[usize::from(deed.grant)] {
            life.until = life.until.max(deed.now + remaining);
        }
    }

    fn judge_release(&mut self, deed: &Deed) {
        if self.was_given_back(deed.grant)
            && changed_by_a_stranger(deed.before, deed.after, deed.grant).is_some()
        {
            self.breaks(Law::UnlockIsIdempotent);
        }
        self.judge_stranger(deed);
        if self.last_released == Some(deed.grant) {
            self.expect_unchanged(deed, Law::UnlockIsIdempotent);
        }
        self.given_back |= 1 << deed.grant;
        self.undone |= 1 << deed.grant;
        self.last_released = Some(deed.grant);
        self.lives[usize::from(deed.grant)] = None;
    }

    fn judge_stranger(&mut self, deed: &Deed) {
        if let Some(law) = changed_by_a_stranger(deed.before, deed.after, deed.grant) {
            self.breaks(law);
        }
    }

    fn expect_unchanged(&mut self, deed: &Deed, law: Law) {
        if deed.before != deed.after {
            self.breaks(law);
        }
    }

    fn issued(&mut self, token: Token) {
        if token <= self.newest {
            self.breaks(Law::TokensIncrease);
        }
        self.newest = token;
    }

    /// An operator has fenced the holder, whose grant counts as released from here on.
    pub(crate) fn fenced(&mut self, before: Option<Row>, token: Token, at_once: bool) {
        self.issued(token);
        if let Some(grant) = before.and_then(|row| row.grant) {
            self.given_back |= 1 << grant;
            self.last_released = Some(grant);
        }
        if at_once {
            self.lives.fill(None);
            self.fenced_only = true;
        }
    }

    /// Nothing is known of the name any more.
    pub(crate) fn row_gone(&mut self, now: Tick) {
        self.fenced_only |= self.lives.iter().flatten().any(|life| life.until > now);
        self.lives.fill(None);
        self.last_released = None;
    }

    /// Forgets leases that have run out, which no clock brings back.
    pub(crate) fn forget_the_dead(&mut self, now: Tick) {
        for life in &mut self.lives {
            *life = life.filter(|life| life.until > now);
        }
    }

    /// Whether there is a lease of this grant, alive or not.
    pub(crate) fn has_life(&self, grant: Grant) -> bool {
        self.lives[usize::from(grant)].is_some()
    }

    /// Forgets a grant that nothing is heard of any more.
    pub(crate) fn forget(&mut self, grant: Grant) {
        self.given_back &= !(1 << grant);
        self.undone &= !(1 << grant);
        self.last_released = self.last_released.filter(|released| *released != grant);
    }

    /// Whether a clock at `now` is past every token, so that one for a row never seen would be larger.
    pub(crate) fn clock_is_past_tokens(&self, now: Tick) -> bool {
        now > self.newest
    }
}
