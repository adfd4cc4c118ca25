//! A client: what the engine does for one grant, from asking to the end of its undo. Every timeout is a free choice
//! here, so a client may be as impatient, as slow, as long paused as it likes.

use crate::bugs::Bug;
use crate::laws::Law;
use crate::server::{Answer, LEASE, LONG_LEASE, Statement, Tick, Token};

/// How long a statement may still be carried out after it was sent: the server ends it then.
pub(crate) const STATEMENT: Tick = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    New,
    Asking,
    /// The last answer was no: may ask again, or leave.
    Refused,
    Holding {
        token: Token,
        deadline: Tick,
    },
    /// Gives back what it holds, or may hold.
    Ending {
        answered: bool,
    },
    Done,
    Crashed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) phase: Phase,
    /// The number of the acquire that is on its way: answers to those before it are nobody's.
    pub(crate) asked: u8,
    /// When that, or the last release, was sent.
    sent: Tick,
    /// Until when an acquire that was given up may still arrive.
    in_doubt: Option<Tick>,
    pub(crate) renewals: u8,
    pub(crate) endings: u8,
}

/// What a client does of its own will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Asks, or asks again under the same grant: an acquire on its way is given up.
    Ask,
    /// Nobody wants the lock any more.
    Leave,
    Renew {
        lease: Tick,
    },
    Unlock,
    /// Sends the release again: without an answer, or once more after all that was given up.
    EndAgain,
    /// While it holds. Anywhere else it is no more than taking no further step.
    Crash,
}

/// How much of each a client may do: what keeps the space finite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) asks: u8,
    pub(crate) renewals: u8,
    pub(crate) endings: u8,
    /// Whether it may give up an acquire without an answer, and crash.
    pub(crate) fails: bool,
}

impl Client {
    pub(crate) const NEW: Self =
        Self { phase: Phase::New, asked: 0, sent: 0, in_doubt: None, renewals: 0, endings: 0 };

    pub(crate) fn believes(&self, now: Tick) -> bool {
        matches!(self.phase, Phase::Holding { deadline, .. } if now < deadline)
    }

    /// What it may do now.
    pub(crate) fn steps(&self, now: Tick, patience: Patience, steps: &mut Vec<Step>) {
        match self.phase {
            Phase::New => steps.push(Step::Ask),
            Phase::Asking => {
                if self.asked < patience.asks {
                    steps.push(Step::Ask);
                }
                if patience.fails {
                    steps.push(Step::Leave);
                }
            }
            Phase::Refused => {
                if self.asked < patience.asks {
                    steps.push(Step::Ask);
                }
                steps.push(Step::Leave);
            }
            Phase::Holding { .. } => {
                if self.believes(now) && self.renewals < patience.renewals {
                    steps.extend([Step::Renew { lease: LEASE }, Step::Renew { lease: LONG_LEASE }]);
                }
                steps.push(Step::Unlock);
                if patience.fails && self.believes(now) {
                    steps.push(Step::Crash);
                }
            }
            Phase::Ending { answered: false } => {
                if self.endings < patience.endings {
                    steps.push(Step::EndAgain);
                }
            }
            Phase::Ending { answered: true } => {
                if self.in_doubt.is_none_or(|until| now >= until) {
                    steps.push(Step::EndAgain);
                }
            }
            Phase::Done | Phase::Crashed => {}
        }
    }

    /// Does it; returns what is sent.
    pub(crate) fn step(&mut self, step: Step, now: Tick, bug: Option<Bug>) -> Option<Statement> {
        match step {
            Step::Ask => {
                if self.phase == Phase::Asking {
                    self.doubt();
                }
                (self.phase, self.sent) = (Phase::Asking, now);
                self.asked += 1;
                Some(Statement::Acquire)
            }
            Step::Leave => {
                if self.phase == Phase::Asking {
                    self.doubt();
                }
                if self.in_doubt.is_none() || bug == Some(Bug::GivenUpIsNotUndone) {
                    self.phase = Phase::Done;
                    return None;
                }
                self.end(now)
            }
            Step::Renew { lease } => {
                let Phase::Holding { token, deadline } = &mut self.phase else { return None };
                if bug == Some(Bug::UnansweredRenewalCounts) {
                    *deadline = (*deadline).max(now + lease);
                }
                self.renewals += 1;
                Some(Statement::Renew { token: *token, lease })
            }
            Step::Unlock => self.end(now),
            Step::EndAgain => {
                self.endings += 1;
                self.end(now)
            }
            Step::Crash => {
                self.phase = Phase::Crashed;
                None
            }
        }
    }

    /// Whether an answer to something sent at `sent` (an acquire: number `asked`) is waited for.
    pub(crate) fn awaits(&self, answer: Answer, asked: u8) -> bool {
        match answer {
            Answer::Granted { .. } | Answer::Refused => self.phase == Phase::Asking && self.asked == asked,
            Answer::Renewed { .. } | Answer::Lost => matches!(self.phase, Phase::Holding { .. }),
            Answer::Ended => self.phase == Phase::Ending { answered: false },
        }
    }

    /// An answer that is waited for has arrived. Returns what is sent, and what that breaks.
    pub(crate) fn hear(
        &mut self,
        answer: Answer,
        sent: Tick,
        now: Tick,
        bug: Option<Bug>,
    ) -> Result<Option<Statement>, Law> {
        // The margin is spent: by true time the slowest clock that it covers reads the deadline when this has passed.
        let counted_from = if bug == Some(Bug::BeliefFromTheAnswer) { now } else { sent };
        let slack = u8::from(bug == Some(Bug::NoMargin));
        let until = |remaining: Tick, lease: Tick| counted_from + remaining.min(lease) + slack;
        match (answer, &mut self.phase) {
            (Answer::Granted { token, remaining }, phase) => {
                let deadline = until(remaining, LEASE);
                if now >= deadline && bug != Some(Bug::LateGrantIsTaken) {
                    return Ok(self.end(now));
                }
                *phase = Phase::Holding { token, deadline };
                return if now < deadline { Ok(None) } else { Err(Law::LateGrantIsNoSuccess) };
            }
            (Answer::Refused, phase) => *phase = Phase::Refused,
            (Answer::Renewed { remaining, lease }, Phase::Holding { deadline, .. }) if now < *deadline => {
                *deadline = (*deadline).max(until(remaining, lease));
            }
            (Answer::Lost, Phase::Holding { deadline, .. }) => *deadline = (*deadline).min(now),
            (Answer::Ended, phase) => {
                let again = self.in_doubt.is_some_and(|until| sent < until) && bug != Some(Bug::UndoOnce);
                *phase = if again { Phase::Ending { answered: true } } else { Phase::Done };
            }
            (Answer::Renewed { .. } | Answer::Lost, _) => {}
        }
        Ok(None)
    }

    /// Forgets what can make no difference any more.
    pub(crate) fn tidy(&mut self, now: Tick, patience: Patience) {
        match &mut self.phase {
            Phase::New | Phase::Asking => {}
            Phase::Refused if self.asked >= patience.asks && self.in_doubt.is_none() => {
                self.phase = Phase::Done;
            }
            Phase::Refused => self.sent = 0,
            Phase::Holding { deadline, .. } => {
                (self.asked, self.sent) = (0, 0);
                self.in_doubt = self.in_doubt.filter(|until| now < *until);
                if now >= *deadline {
                    (*deadline, self.renewals) = (0, 0);
                }
            }
            Phase::Ending { .. } => (self.asked, self.sent, self.renewals) = (0, 0, 0),
            Phase::Done | Phase::Crashed => {}
        }
        if self.is_gone() {
            *self = Self { phase: self.phase, ..Self::NEW };
        }
    }

    /// Takes no step any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Crashed)
    }

    /// The acquire on its way is given up.
    fn doubt(&mut self) {
        self.in_doubt = Some(self.sent + STATEMENT);
    }

    fn end(&mut self, now: Tick) -> Option<Statement> {
        (self.phase, self.sent) = (Phase::Ending { answered: false }, now);
        Some(Statement::Release)
    }
}
