//! The locks that this locker holds: their deadlines, and their renewal in few calls.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::call::Calls;
use super::command::Reply;
use super::env::Tick;
use super::keeper::Keeper;
use super::lease::{Confirmed, Granted, Lease};
use super::line::Waiter;
use super::outbox::is_about_all;
use super::timers::Timer;
use crate::store::{Operation, RenewAnswer, RenewRequest, StoreError, StoreErrorKind};
use crate::{Error, FencingToken, GrantId, Holder, Lock, LostReason};

/// A lease is renewed when a third of it is over; a try that failed is repeated a sixth after it was sent, or at
/// once if it took longer to fail.
const RENEW_AFTER: u32 = 3;
const RETRY_AFTER: u32 = 6;

/// Leases due within this part of their length are renewed along with the first one. So leases of one length are renewed at
/// four times in a third of it at most, however they were acquired: once renewed together they stay together.
const RENEW_TOGETHER: u32 = 10;

/// A renewal gets this part of the lease to be answered, so that two more tries fit; but never less than a slow
/// network needs.
const RENEW_WITHIN: u32 = 4;
const RENEW_LIMIT: Duration = Duration::from_millis(100);

/// What stores round away of what remains, and more.
const COARSE: Duration = Duration::from_millis(2);

/// How soon a lock that its caller has not taken yet is looked at again, at the soonest.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Of no more than these each is renewed by itself when the renewal of all has failed: the parts of a thousand are no longer.
const FEW: usize = 32;

pub(crate) struct Holding {
    pub(super) lease: Arc<Lease>,
    /// For how long it is renewed each time; `None`: never.
    term: Option<Duration>,
    /// Its place among the renewals that are due; none while one is on its way.
    renew_at: Option<Tick>,
    /// Its place among the deadlines; none once it is known to be over.
    look_at: Option<Tick>,
    /// Until when an earlier acquire of this grant, given up without an answer, may still arrive.
    pub(super) in_doubt: Option<Tick>,
    /// When the lease is over on the server, at the latest, whatever of our calls it still runs.
    pub(super) over: Tick,
}

impl Holding {
    /// How this locker's own lock looks to others of this process.
    pub(super) fn as_holder(&self, now: Tick) -> Holder {
        let Lease { lock_by, token, held, .. } = &*self.lease;
        let mut holder = Holder::new(lock_by.clone(), now.since(held.since), self.lease.remaining(), *token);
        holder.by_self = true;
        holder
    }
}

impl Keeper {
    /// A grant becomes a lock. `None` if no handle of this locker is left to give it to.
    pub(super) fn hold(
        &mut self,
        waiter: &Waiter,
        token: FencingToken,
        sent: Tick,
        deadline: Tick,
    ) -> Option<Lock> {
        let commands = self.commands.upgrade()?;
        let Waiter { wanted, grant, in_doubt, series, .. } = waiter;
        let (grant, in_doubt) = (*grant, *in_doubt);
        let granted = Granted {
            name: wanted.name.clone(),
            grant,
            token,
            lock_by: wanted.lock_by.clone(),
            at_least: wanted.lock_at_least,
            deadline,
        };
        let now = self.now();
        let held = self.calls.telemetry.holds(series.clone(), now);
        let lease = Lease::new(granted, self.calls.clock.clone(), held);
        let holding = Holding {
            lease: lease.clone(),
            term: wanted.auto_renew.then_some(wanted.lease),
            renew_at: None,
            look_at: None,
            in_doubt,
            over: now.after(wanted.lease),
        };
        self.leases.insert(grant, holding);
        self.look_later(grant, deadline);
        self.renew_later(grant, (wanted.lease / RENEW_AFTER).saturating_sub(now.since(sent)));
        Some(Lock::new(lease, commands))
    }

    /// The lock is given back: nothing of it is renewed any more.
    pub(super) fn let_go(&mut self, grant: GrantId) -> Option<Holding> {
        let holding = self.leases.remove(&grant)?;
        if let Some(at) = holding.renew_at {
            self.renewals.remove(&(at, grant));
            self.timers.set_to_first(&self.renewals, Timer::Renew);
        }
        if let Some(at) = holding.look_at {
            self.deadlines.remove(&(at, grant));
            self.timers.set_to_first(&self.deadlines, Timer::Deadline);
        }
        Some(holding)
    }

    /// The earliest deadline has come, unless it was moved since.
    pub(super) fn check_deadline(&mut self) {
        let Some((_, grant)) = self.deadlines.pop_first() else { return };
        if let Some(holding) = self.leases.get_mut(&grant) {
            holding.look_at = None;
            let over = holding.over;
            match holding.lease.deadline() {
                Some(later) => self.look_later(grant, later),
                None => {
                    self.stop_holding(grant);
                    // A shutdown that waits for it to be given back waits no longer than that.
                    if over > self.now() {
                        self.look_later(grant, over);
                    }
                }
            }
        }
        self.timers.set_to_first(&self.deadlines, Timer::Deadline);
    }

    fn look_later(&mut self, grant: GrantId, at: Tick) {
        let Some(holding) = self.leases.get_mut(&grant) else { return };
        holding.look_at = Some(at);
        self.deadlines.insert((at, grant));
        self.timers.set_to_first(&self.deadlines, Timer::Deadline);
    }

    /// A deadline that has moved forward is looked at when the old one has come; one that has moved back, no later than it is.
    fn look_no_later(&mut self, grant: GrantId, at: Tick) {
        let Some(holding) = self.leases.get_mut(&grant) else { return };
        if let Some(later) = holding.look_at.take_if(|look_at| *look_at > at) {
            self.deadlines.remove(&(later, grant));
            self.look_later(grant, at);
        }
    }

    /// Renews all leases that are due, the earliest first, as many together as the store takes.
    pub(super) fn renew_due(&mut self) {
        let now = self.now();
        let (mut due, mut untaken) = (Vec::new(), Vec::new());
        while let Some((at, grant)) = self.renewals.first().copied() {
            let Some(holding) = self.leases.get_mut(&grant) else { break };
            let term = holding.term.unwrap_or_default();
            if at > now.after(term / RENEW_TOGETHER) {
                break;
            }
            self.renewals.pop_first();
            holding.renew_at = None;
            if !holding.lease.is_taken() {
                // Its caller's future is not polled: a lock that nobody works under is not kept from others. It may be taken at
                // the last moment, and is looked at the more often the nearer that is.
                let pause = (term / RETRY_AFTER).min(holding.lease.remaining() / 4).max(LOOK_AGAIN);
                untaken.push((grant, pause));
            } else if holding.lease.is_held() {
                holding.over = holding.over.max(now.after(term));
                due.push(holding.request(term));
            }
        }
        for batch in due.chunks_mut(self.calls.capabilities.max_batch.max(1)) {
            batch.sort_by(|a, b| a.name.cmp(&b.name));
            self.send(renewal(&self.calls, batch.to_vec()));
        }
        for (grant, pause) in untaken {
            self.renew_later(grant, pause);
        }
        self.timers.set_to_first(&self.renewals, Timer::Renew);
    }

    pub(super) fn renewed(
        &mut self,
        requests: Vec<RenewRequest>,
        sent: Tick,
        answers: Result<Vec<RenewAnswer>, StoreError>,
    ) {
        match answers {
            Ok(answers) => {
                for (request, answer) in requests.iter().zip(answers) {
                    let passed = self.now().since(sent);
                    let part = match self.confirm(request, sent, &answer) {
                        Ok(false) => RETRY_AFTER,
                        Ok(true) | Err(_) => RENEW_AFTER,
                    };
                    self.renew_later(request.grant, (request.lease / part).saturating_sub(passed));
                }
            }
            // One row may have spoiled it for all: look for it. There is time for two more tries, so the parts are as few as
            // they are long, and the next failure comes down to one lease.
            Err(error) if requests.len() > 1 && !is_about_all(&error) => {
                debug!(%error, leases = requests.len(), "renewal failed, tried in parts");
                let parts_of = if requests.len() <= FEW { 1 } else { requests.len().isqrt() };
                let held = |request: &RenewRequest| {
                    self.leases.get(&request.grant).is_some_and(|holding| holding.lease.is_held())
                };
                // A lock may have been given back meanwhile: a renewal must not follow its release.
                let requests: Vec<_> = requests.into_iter().filter(held).collect();
                for part in requests.chunks(parts_of) {
                    self.send(renewal(&self.calls, part.to_vec()));
                }
            }
            Err(error) => {
                debug!(%error, leases = requests.len(), "renewal failed, tried again");
                let passed = self.now().since(sent);
                for request in requests {
                    self.renew_later(request.grant, (request.lease / RETRY_AFTER).saturating_sub(passed));
                }
            }
        }
    }

    pub(super) fn extend(&mut self, lease: &Lease, to: Duration, reply: Reply<()>) {
        let now = self.now();
        match self.leases.get_mut(&lease.grant) {
            Some(holding) if lease.is_held() => {
                holding.over = holding.over.max(now.after(to));
                let request = holding.request(to);
                // Without renewals the lease is lost then, whatever the answer.
                let limit = if holding.term.is_none() { lease.remaining() } else { Duration::MAX };
                self.send(self.calls.extend(request, limit, reply));
            }
            _ => drop(reply.send(Err(lost(lease)))),
        }
    }

    pub(super) fn extended(
        &mut self,
        request: &RenewRequest,
        sent: Tick,
        reply: Reply<()>,
        answer: Result<RenewAnswer, StoreError>,
    ) {
        let name = request.name.clone();
        let outcome = match answer {
            Ok(answer) => match self.confirm(request, sent, &answer) {
                Err(reason) => Err(Error::Lost { name, reason }),
                Ok(false) => {
                    let why = "another transaction has locked the row: the lease lasts as long as before";
                    let source = self.calls.failed(Operation::Renew, StoreErrorKind::Conflict, why);
                    Err(Error::Store { name: Some(name), source })
                }
                Ok(true) => Ok(()),
            },
            Err(source) => {
                let lost_by = self.leases.get(&request.grant).and_then(|holding| holding.lease.lost_by());
                Err(match lost_by {
                    Some(reason) => Error::Lost { name, reason },
                    None => Error::Store { name: Some(name), source },
                })
            }
        };
        let _ = reply.send(outcome);
    }

    /// A renewal was answered: whether it has extended the lease.
    fn confirm(
        &mut self,
        request: &RenewRequest,
        sent: Tick,
        answer: &RenewAnswer,
    ) -> Result<bool, LostReason> {
        let now = self.now();
        let extends = !extended_nothing(request, answer, now.since(sent));
        let confirmed = match answer {
            RenewAnswer::Renewed { remaining } => Ok(Confirmed {
                sent,
                now,
                deadline: self.deadline(sent, *remaining, request.lease),
                whole: self.deadline(sent, *remaining, *remaining),
                over: now.after(*remaining),
                extends,
            }),
            RenewAnswer::Lost(reason) => Err(*reason),
        };
        // Given back meanwhile: nobody believes in it any more.
        let Some(holding) = self.leases.get_mut(&request.grant) else { return Err(LostReason::Expired) };
        match confirmed {
            Ok(confirmed) => holding.lease.confirm(&confirmed),
            Err(reason) => {
                // Nothing makes it alive again.
                holding.over = holding.over.min(now);
                holding.lease.lose(reason);
            }
        }
        if let Some(deadline) = holding.lease.deadline() {
            self.look_no_later(request.grant, deadline);
            return Ok(extends);
        }
        let reason = holding.lease.lost_by().unwrap_or(LostReason::Expired);
        self.stop_holding(request.grant);
        Err(reason)
    }

    /// If a lease is lost the next in line may ask, and nothing is renewed. (One that was given back is about to be heard of.)
    fn stop_holding(&mut self, grant: GrantId) {
        let lost = |holding: &&mut Holding| holding.lease.lost_by().is_some();
        let Some(holding) = self.leases.get_mut(&grant).filter(lost) else { return };
        if let Some(at) = holding.renew_at.take() {
            self.renewals.remove(&(at, grant));
        }
        let name = holding.lease.name.clone();
        self.local_gone(&name, grant);
    }

    fn renew_later(&mut self, grant: GrantId, pause: Duration) {
        let at = self.now().after(pause);
        let Some(holding) = self.leases.get_mut(&grant) else { return };
        if holding.term.is_some() && holding.renew_at.is_none() && holding.lease.is_held() {
            holding.renew_at = Some(at);
            self.renewals.insert((at, grant));
            self.timers.set_to_first(&self.renewals, Timer::Renew);
        }
    }
}

impl Holding {
    fn request(&self, lease: Duration) -> RenewRequest {
        let Lease { name, grant, token, .. } = &*self.lease;
        RenewRequest::new(name.clone(), *grant, *token, lease)
    }
}

fn renewal(
    calls: &Calls,
    batch: Vec<RenewRequest>,
) -> futures_util::future::BoxFuture<'static, super::call::Done> {
    let shortest = batch.iter().map(|request| request.lease).min().unwrap_or_default();
    calls.renew(batch, (shortest / RENEW_WITHIN).max(RENEW_LIMIT).min(calls.limit))
}

/// The lease stands as it did before: the store found its row locked, and says what remains. `passed`: since it was asked.
pub(super) fn extended_nothing(request: &RenewRequest, answer: &RenewAnswer, passed: Duration) -> bool {
    // Of a short lease as much more may be missing, for a store may count in milliseconds.
    let wanted = request.lease.saturating_sub((request.lease / 100).max(COARSE));
    matches!(answer, RenewAnswer::Renewed { remaining } if remaining.saturating_add(passed) < wanted)
}

fn lost(lease: &Lease) -> Error {
    Error::Lost { name: lease.name.clone(), reason: lease.lost_by().unwrap_or(LostReason::Expired) }
}
