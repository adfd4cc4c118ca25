//! How the head of a line asks the store for its name, and what comes of each answer.

use std::error::Error as StdError;
use std::time::Duration;

use tracing::{debug, warn};

use super::env::Tick;
use super::keeper::Keeper;
use super::line::{Head, Known, Waiter};
use super::local::Local;
use super::outbox::parts;
use crate::store::{AcquireAnswer, AcquireRequest, MarkRequest, Operation, StoreError, StoreErrorKind};
use crate::{Error, GrantId, LockName};

/// After this many lost races in a row the head pauses before it asks again.
const RACES: u32 = 3;

/// Of so many turns in a row that the next in line gets, one is not by a hand-over, and may be left to others.
const TURNS: u32 = 10;

impl Keeper {
    pub(super) fn ask(&mut self, name: &LockName) {
        if let Some(request) = self.next_ask(name) {
            self.acquires.put(request);
        }
    }

    /// A race was lost, maybe because the row was locked: what asks for many leaves such a row out, what asks for one waits.
    fn ask_alone(&mut self, name: &LockName) {
        if let Some(request) = self.next_ask(name) {
            self.send(self.calls.acquire(vec![request], self.now()));
        }
    }

    /// What the next in line asks for when the local grant of the name is given back, if the store takes both at once. Not
    /// time after time: those who wait elsewhere without the store's knowing have to find the name free now and then.
    pub(super) fn next_in_line(&mut self, name: &LockName, grant: GrantId) -> Option<AcquireRequest> {
        if self.locals.get(name) != Some(&Local::GivesBack(grant)) {
            return None;
        }
        let (now, listening) = (self.now(), self.listener.is_listening());
        let line = self.lines.get_mut(name)?;
        if line.waiters.is_empty() || line.head != Head::Idle {
            return None;
        }
        line.turns = (line.turns + 1) % TURNS;
        if line.turns != 0 {
            return self.calls.capabilities.hands_over.then(|| self.next_ask(name))?;
        }
        if !listening {
            line.strangers.get_a_turn(now);
        }
        None
    }

    /// What the head asked for along with a release has failed: it asks again once the name is given back.
    pub(super) fn asks_no_more(&mut self, request: &AcquireRequest, error: &StoreError) {
        if self.still_asks(request, error)
            && let Some(line) = self.lines.get_mut(&request.name)
        {
            line.head = Head::Idle;
        }
    }

    fn next_ask(&mut self, name: &LockName) -> Option<AcquireRequest> {
        let line = self.lines.get_mut(name)?;
        let Waiter { wanted, grant, .. } = line.waiters.front()?;
        line.freed = false;
        line.head = Head::Asking(*grant);
        Some(AcquireRequest::new(name.clone(), *grant, wanted.lock_by.clone(), wanted.lease))
    }

    /// The answers to a call.
    pub(super) fn acquired(
        &mut self,
        requests: Vec<AcquireRequest>,
        sent: Tick,
        answers: Result<Vec<AcquireAnswer>, StoreError>,
    ) {
        self.acquires.ended(sent);
        let error = match answers {
            Ok(answers) => {
                for (request, answer) in requests.iter().zip(answers) {
                    self.was_answered(request, sent, Ok(answer));
                }
                return;
            }
            Err(error) => error,
        };
        let Some(parts) = parts(&requests, &error) else {
            for request in &requests {
                self.was_answered(request, sent, Err(error.clone()));
            }
            return;
        };
        debug!(%error, locks = requests.len(), "acquire failed, tried in parts");
        for part in parts {
            let wanted: Vec<_> =
                part.iter().filter(|request| self.still_asks(request, &error)).cloned().collect();
            if !wanted.is_empty() {
                self.send(self.calls.acquire(wanted, self.now()));
            }
        }
    }

    /// Whether what failed in company is still wanted. If not, it is undone as far as it may have happened.
    fn still_asks(&mut self, request: &AcquireRequest, error: &StoreError) -> bool {
        let may_arrive = self.may_arrive_until();
        let line = self.lines.get_mut(&request.name).filter(|line| line.head == Head::Asking(request.grant));
        let Some(waiter) = line.and_then(|line| line.waiters.front_mut()) else {
            self.unwanted(request, &Err(error.clone()));
            return false;
        };
        if !error.took_no_effect() {
            waiter.in_doubt = Some(may_arrive);
        }
        true
    }

    /// The answer to an acquire.
    pub(super) fn was_answered(
        &mut self,
        request: &AcquireRequest,
        sent: Tick,
        answer: Result<AcquireAnswer, StoreError>,
    ) {
        let (name, grant) = (&request.name, request.grant);
        match self.lines.get_mut(name).filter(|line| line.head == Head::Asking(grant)) {
            Some(line) => line.head = Head::Idle,
            None => return self.unwanted(request, &answer),
        }
        match answer {
            Ok(AcquireAnswer::Granted { token, remaining }) => {
                let deadline = self.deadline(sent, remaining, request.lease);
                if self.now() < deadline {
                    self.hand_over(name, token, sent, deadline);
                } else {
                    debug!(lock = name.as_str(), "granted too late, given back");
                    let in_doubt = self.grant_anew(name);
                    self.undo(name, grant, request.lease, in_doubt);
                    let why = "the lease was over before the answer came";
                    let late = self.calls.failed(Operation::Acquire, StoreErrorKind::Timeout, why);
                    self.know(name, Known::Failed(late));
                    self.try_later(name);
                }
            }
            Ok(AcquireAnswer::Held(holder)) if holder.remaining > Duration::ZERO => {
                self.refused(name, holder);
            }
            Ok(AcquireAnswer::Held(_) | AcquireAnswer::Raced) => self.raced(request),
            Err(error) => self.failed(name, error),
        }
    }

    fn raced(&mut self, request: &AcquireRequest) {
        let name = &request.name;
        let Some(line) = self.lines.get_mut(name) else { return };
        line.races += 1;
        if line.races % (RACES + 1) != 0 {
            return self.ask_alone(name);
        }
        // Granted without our knowing, and revoked since: that grant would be refused ever after.
        if let Some(in_doubt) = self.grant_anew(name) {
            self.undo(name, request.grant, request.lease, Some(in_doubt));
        }
        self.know(name, Known::Nothing);
        self.try_later(name);
    }

    fn failed(&mut self, name: &LockName, error: StoreError) {
        let may_arrive = self.may_arrive_until();
        let Some(line) = self.lines.get_mut(name) else { return };
        if let Some(waiter) = line.waiters.front_mut().filter(|_| !error.took_no_effect()) {
            waiter.in_doubt = Some(may_arrive);
        }
        if error.is_transient() {
            debug!(lock = name.as_str(), %error, source = error.source(), "acquire failed, may be tried again");
            self.know(name, Known::Failed(error));
            return self.try_later(name);
        }
        warn!(lock = name.as_str(), %error, source = error.source(), "acquire failed");
        if let Some(waiter) = line.waiters.pop_front() {
            self.out_of_line(&waiter);
            let _ = waiter.reply.send(Err(Error::Store { name: Some(name.clone()), source: error }));
        }
        self.advance(name);
    }

    /// The mark is set (or not): look once more before sleeping, for the name may have been freed before.
    pub(super) fn marked(&mut self, request: &MarkRequest, sent: Tick, outcome: Result<(), StoreError>) {
        let Some(line) = self.lines.get_mut(&request.name).filter(|line| line.head == Head::Marking) else {
            return;
        };
        line.head = Head::Idle;
        match outcome {
            Ok(()) => {
                let stands = self.listener.has_heard_since(sent);
                line.marked_until = stands.then(|| sent.after(request.standing));
                self.advance(&request.name);
            }
            Err(error) => {
                debug!(lock = request.name.as_str(), %error, source = error.source(), "waits without a mark");
                if line.freed { self.ask(&request.name) } else { self.try_later(&request.name) }
            }
        }
    }

    /// The head's next try is for a new grant. Returns what was in doubt about its last one.
    fn grant_anew(&mut self, name: &LockName) -> Option<Tick> {
        let grant = self.env.grant();
        let waiter = self.lines.get_mut(name)?.waiters.front_mut()?;
        waiter.grant = grant;
        waiter.in_doubt.take()
    }

    /// Until when the server may still run a call that is given up now.
    fn may_arrive_until(&self) -> Tick {
        self.now().after(self.calls.capabilities.request_timeout)
    }

    /// The answer to an acquire whose caller went away meanwhile.
    fn unwanted(&mut self, request: &AcquireRequest, answer: &Result<AcquireAnswer, StoreError>) {
        let AcquireRequest { name, grant, lease, .. } = request;
        match answer {
            Ok(AcquireAnswer::Granted { .. }) => self.undo(name, *grant, *lease, None),
            Err(error) if !error.took_no_effect() => {
                let may_arrive = self.may_arrive_until();
                self.undo(name, *grant, *lease, Some(may_arrive));
            }
            Ok(_) | Err(_) => {}
        }
    }
}
