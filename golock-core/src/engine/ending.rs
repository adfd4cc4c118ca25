//! Giving grants back: releases that are repeated until the lease is over, and undos of acquires whose outcome
//! is not known, repeated until nothing of them can still arrive.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::command::Reply;
use super::env::Tick;
use super::keeper::Keeper;
use super::lease::Lease;
use super::outbox::parts;
use super::timers::Timer;
use crate::store::{
    AcquireRequest, HandOverAnswer, HandOverRequest, ReleaseAnswer, ReleaseRequest, StoreError,
};
use crate::{Error, GrantId, LockName, LostReason};

/// How soon a failed release is tried again at first, and at the latest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Ending {
    request: ReleaseRequest,
    /// What was held until it was given back; `None`: an undo.
    lease: Option<Arc<Lease>>,
    /// Who waits for it, and until when a transient failure is not yet an answer.
    reply: Option<(Reply<()>, Tick)>,
    /// Sent once more then, or later: until this time an acquire that was given up may overtake it.
    once_more: Option<Tick>,
    /// After this the lease is over by itself.
    over: Tick,
    /// An earlier try may have reached the store.
    in_doubt: bool,
    under_way: bool,
    tries: u32,
}

impl Ending {
    fn new(name: LockName, grant: GrantId, lock_at_least: Duration, over: Tick) -> Self {
        let request = ReleaseRequest::new(name, grant, lock_at_least);
        let (lease, reply, once_more) = (None, None, None);
        Self { request, lease, reply, once_more, over, in_doubt: false, under_way: false, tries: 0 }
    }
}

impl Keeper {
    /// The holder gives its lock back, or has dropped it.
    pub(super) fn release(&mut self, lease: &Lease, at_least: Duration, reply: Option<Reply<()>>) {
        let Some(holding) = self.let_go(lease.grant) else { return };
        let now = self.now();
        let once_more = holding.in_doubt.filter(|until| now < *until);
        match lease.lost_by() {
            // The store has said that nothing is left to give back.
            Some(LostReason::Taken | LostReason::Revoked | LostReason::RowGone) if once_more.is_none() => {
                return;
            }
            // A renewal that came too late for the holder may have kept it alive on the server.
            Some(_) | None => {}
        }
        self.local_gives_back(&lease.name, lease.grant);
        let over = holding.over.max(now).after(self.calls.limit);
        let mut ending = Ending::new(lease.name.clone(), lease.grant, at_least, over);
        ending.lease = Some(holding.lease).filter(|lease| lease.is_taken());
        ending.reply = reply.map(|reply| (reply, now.after(self.calls.limit)));
        ending.once_more = once_more;
        let is_plain = once_more.is_none();
        match is_plain.then(|| self.next_in_line(&lease.name, lease.grant)).flatten() {
            Some(next) => self.pass_on(ending, next),
            None => self.end(ending),
        }
    }

    /// Takes back what was, or may have been, granted. `in_doubt`: until when an acquire of it may still arrive.
    pub(super) fn undo(&mut self, name: &LockName, grant: GrantId, lease: Duration, in_doubt: Option<Tick>) {
        let now = self.now();
        let over = in_doubt.unwrap_or(now).max(now).after(lease).after(self.calls.limit);
        let mut ending = Ending::new(name.clone(), grant, Duration::ZERO, over);
        ending.once_more = in_doubt;
        self.end(ending);
    }

    fn end(&mut self, ending: Ending) {
        let grant = ending.request.grant;
        match self.endings.get_mut(&grant) {
            None => drop(self.endings.insert(grant, ending)),
            // Two calls of one grant were given up one after the other.
            Some(known) => {
                // After what is on its way, which may be done before that which it is to undo.
                let after_it =
                    known.under_way.then(|| self.calls.clock.now().after(Duration::from_millis(1)));
                known.once_more = known.once_more.max(ending.once_more).max(after_it);
                known.over = known.over.max(ending.over);
            }
        }
        self.end_again(grant);
    }

    /// Gives a grant back, and the name to the next in line.
    fn pass_on(&mut self, mut ending: Ending, next: AcquireRequest) {
        let request = HandOverRequest::new(ending.request.clone(), next);
        ending.under_way = true;
        self.endings.insert(request.release.grant, ending);
        self.send(self.calls.hand_over(request));
    }

    pub(super) fn handed_over(
        &mut self,
        request: &HandOverRequest,
        sent: Tick,
        answer: Result<HandOverAnswer, StoreError>,
    ) {
        let HandOverRequest { release, next, .. } = request;
        let error = match answer {
            Ok(HandOverAnswer { released, next: answer, .. }) => {
                self.was_released(release, sent, Ok(released));
                self.was_answered(next, sent, Ok(answer));
                return;
            }
            Err(error) => error,
        };
        debug!(lock = release.name.as_str(), %error, "hand-over failed, given back by itself");
        self.asks_no_more(next, &error);
        if let Some(ending) = self.endings.get_mut(&release.grant) {
            ending.in_doubt |= !error.took_no_effect();
            ending.under_way = false;
        }
        self.end_again(release.grant);
    }

    /// Sends (again) what gives a grant back.
    pub(super) fn end_again(&mut self, grant: GrantId) {
        let Some(ending) = self.endings.get_mut(&grant).filter(|ending| !ending.under_way) else { return };
        ending.under_way = true;
        self.releases.put(ending.request.clone());
    }

    /// The answers to a call.
    pub(super) fn released(
        &mut self,
        requests: Vec<ReleaseRequest>,
        sent: Tick,
        answers: Result<Vec<ReleaseAnswer>, StoreError>,
    ) {
        self.releases.ended(sent);
        let error = match answers {
            Ok(answers) => {
                for (request, answer) in requests.iter().zip(answers) {
                    self.was_released(request, sent, Ok(answer));
                }
                return;
            }
            Err(error) => error,
        };
        let Some(parts) = parts(&requests, &error) else {
            for request in &requests {
                self.was_released(request, sent, Err(error.clone()));
            }
            return;
        };
        debug!(%error, locks = requests.len(), "release failed, tried in parts");
        for request in &requests {
            if let Some(ending) = self.endings.get_mut(&request.grant) {
                ending.in_doubt |= !error.took_no_effect();
            }
        }
        for part in parts {
            self.send(self.calls.release(part.to_vec(), self.now()));
        }
    }

    fn was_released(
        &mut self,
        request: &ReleaseRequest,
        sent: Tick,
        answer: Result<ReleaseAnswer, StoreError>,
    ) {
        let (now, grant, name) = (self.now(), request.grant, &request.name);
        let Some(mut ending) = self.endings.remove(&grant) else { return };
        ending.under_way = false;
        let again = match &answer {
            Ok(answer) => {
                debug!(lock = name.as_str(), ?answer, "lock given back");
                let outcome = outcome(*answer, ending.in_doubt);
                // What an earlier try may have done can't be told from what was lost before it.
                if let (Some(lease), Err(reason)) =
                    (ending.lease.take().filter(|_| !ending.in_doubt), outcome)
                {
                    lease.was_not_there(reason);
                }
                if let Some((reply, _)) = ending.reply.take() {
                    let _ = reply.send(outcome.map_err(|reason| Error::Lost { name: name.clone(), reason }));
                }
                // What may be granted yet is a late duplicate, under which nobody works.
                ending.request.lock_at_least = Duration::ZERO;
                ending.once_more.filter(|at| sent < *at)
            }
            Err(error) => {
                ending.in_doubt |= !error.took_no_effect();
                ending.tries = ending.tries.saturating_add(1);
                let pause = FIRST_PAUSE.saturating_mul(1 << (ending.tries - 1).min(10)).min(LONGEST_PAUSE);
                let at = Some(now.after(self.env.jittered(pause))).filter(|at| *at <= ending.over);
                if at.is_none() {
                    warn!(lock = name.as_str(), %error, source = error.source(), "release failed until the lease was over");
                }
                let answer_now =
                    |(_, until): &mut (_, Tick)| at.is_none() || !error.is_transient() || now >= *until;
                if let Some((reply, _)) = ending.reply.take_if(answer_now) {
                    let _ = reply.send(Err(Error::Store { name: Some(name.clone()), source: error.clone() }));
                }
                at
            }
        };
        match again {
            Some(at) => {
                self.endings.insert(grant, ending);
                self.timers.set(at, Timer::End(grant));
            }
            None => self.timers.cancel(&Timer::End(grant)),
        }
        let stood_in_the_way = self.local_gone(name, grant);
        if !stood_in_the_way && matches!(answer, Ok(ReleaseAnswer::Released)) {
            self.freed(name);
        }
    }
}

/// What the holder is told. That it was released already is good news after a try whose answer was lost, and bad
/// news else.
fn outcome(answer: ReleaseAnswer, in_doubt: bool) -> Result<(), LostReason> {
    match answer {
        ReleaseAnswer::Released => Ok(()),
        ReleaseAnswer::AlreadyReleased if in_doubt => Ok(()),
        ReleaseAnswer::AlreadyReleased => Err(LostReason::Revoked),
        ReleaseAnswer::NotYours(reason) => Err(reason),
    }
}
