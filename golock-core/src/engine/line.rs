//! The line of one name: who in this process waits for it, first come first served. Only the head talks to the
//! store ([`asking`](super::asking)); the others learn from its answers.

use std::collections::VecDeque;
use std::time::Duration;

use tracing::debug;

use super::command::Reply;
use super::env::Tick;
use super::keeper::Keeper;
use super::local::Local;
use super::strangers::Strangers;
use super::telemetry::Series;
use super::timers::Timer;
use crate::options::Wanted;
use crate::store::{MarkRequest, StoreError};
use crate::{Error, FencingToken, GrantId, Holder, Lock, LockName};

/// How soon a refused head asks again at first, and at the latest, if nothing will wake it.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the mark of somebody who waits stands: the longest is also what one costs that nobody waits under
/// any more, and shorter than many a lease.
const SHORTEST_MARK: Duration = Duration::from_secs(10);
const LONGEST_MARK: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Line {
    pub(super) waiters: VecDeque<Waiter>,
    pub(super) head: Head,
    /// What the last answer said.
    known: Known,
    /// Lost races, and unsuccessful tries, in a row.
    pub(super) races: u32,
    tries: u32,
    /// The name was freed while the head was asking.
    pub(super) freed: bool,
    pub(super) marked_until: Option<Tick>,
    /// How often in a row the name went from one to the next in line.
    pub(super) turns: u32,
    pub(super) strangers: Strangers,
}

pub(super) struct Waiter {
    caller: u64,
    pub(super) wanted: Wanted,
    pub(super) series: Series,
    since: Tick,
    until: Option<Tick>,
    pub(super) grant: GrantId,
    /// Until when an acquire of this grant that was given up without an answer may still arrive.
    pub(super) in_doubt: Option<Tick>,
    pub(super) reply: Reply<Lock>,
}

#[derive(Default, PartialEq)]
pub(super) enum Head {
    #[default]
    Idle,
    Asking(GrantId),
    Marking,
    Sleeping,
}

#[derive(Default)]
pub(super) enum Known {
    #[default]
    Nothing,
    Refused(Holder, Tick),
    Failed(StoreError),
}

impl Line {
    /// Nobody waits, and what is remembered is what a new line begins with. While the name is held here the rest is kept.
    fn is_unused(&self, held_here: bool) -> bool {
        self.waiters.is_empty()
            && (!held_here
                || (self.marked_until.is_none()
                    && self.turns == 0
                    && !self.strangers.are_believed()
                    && self.head == Head::Idle))
    }

    fn position(&self, caller: u64) -> Option<usize> {
        self.waiters.iter().position(|waiter| waiter.caller == caller)
    }
}

impl Keeper {
    pub(super) fn get_in_line(&mut self, caller: u64, wanted: Wanted, series: Series, reply: Reply<Lock>) {
        let (now, grant, name) = (self.now(), self.env.grant(), wanted.name.clone());
        let until = wanted.wait.map(|wait| now.after(wait));
        let tries_once = wanted.wait == Some(Duration::ZERO);
        let waiter = Waiter { caller, wanted, series, since: now, until, grant, in_doubt: None, reply };
        self.lines.entry(name.clone()).or_default().waiters.push_back(waiter);
        self.advance(&name);
        match until {
            Some(_) if tries_once => self.wait_over(&name, caller),
            Some(until) => self.timers.set(until, Timer::WaitOver(name, caller)),
            None => {}
        }
    }

    /// A caller's future was dropped.
    pub(super) fn leave(&mut self, name: &LockName, caller: u64) {
        let Some(line) = self.lines.get_mut(name) else { return };
        let Some(position) = line.position(caller) else { return };
        let Some(waiter) = line.waiters.remove(position) else { return };
        if line.head == Head::Asking(waiter.grant) {
            line.head = Head::Idle;
            self.acquires.take_back(name, waiter.grant);
        }
        self.out_of_line(&waiter);
        self.advance(name);
    }

    /// A caller has waited long enough: one last try if it is the head, else what is known.
    pub(super) fn wait_over(&mut self, name: &LockName, caller: u64) {
        let now = self.now();
        let Some(line) = self.lines.get_mut(name) else { return };
        let Some(position) = line.position(caller) else { return };
        match line.head {
            // The answer that is on its way is for everybody whose wait is over by then.
            Head::Asking(_) => {}
            Head::Sleeping | Head::Marking if position == 0 || line.is_overdue(now) => self.ask(name),
            Head::Idle if matches!(self.locals.get(name), Some(Local::GivesBack(_))) => {}
            Head::Sleeping | Head::Marking | Head::Idle => self.answer_overdue(name),
        }
    }

    /// A sleeping head asks again, unless it has been woken since.
    pub(super) fn wake(&mut self, name: &LockName) {
        if self.lines.get(name).is_some_and(|line| line.head == Head::Sleeping) {
            self.ask(name);
        }
    }

    /// The name may have become free.
    pub(super) fn freed(&mut self, name: &LockName) {
        let Some(line) = self.lines.get_mut(name) else { return };
        match line.head {
            Head::Sleeping => self.ask(name),
            Head::Asking(_) | Head::Marking => line.freed = true,
            Head::Idle => {}
        }
    }

    /// Any name may have become free: what was freed lately was missed.
    pub(super) fn freed_any(&mut self) {
        for name in self.lines.keys().cloned().collect::<Vec<_>>() {
            self.freed(&name);
        }
    }

    /// The store may have lost its marks along with the connection, by a failover: who sleeps next sets them anew.
    pub(super) fn unmark_lines(&mut self) {
        for line in self.lines.values_mut() {
            line.marked_until = None;
        }
    }

    /// Nothing wakes those that sleep any more: they look for themselves.
    pub(super) fn sleep_lightly(&mut self) {
        let sleeping = self.lines.iter().filter(|(_, line)| line.head == Head::Sleeping);
        for name in sleeping.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            let pause = self.env.jittered(LONGEST_PAUSE);
            self.timers.set_earlier(self.now().after(pause), Timer::Ask(name));
        }
    }

    /// Everybody in every line hears that the locker is closed.
    pub(super) fn close_lines(&mut self) {
        for name in self.lines.keys().cloned().collect::<Vec<_>>() {
            let Some(line) = self.lines.get_mut(&name) else { continue };
            line.head = Head::Idle;
            for waiter in std::mem::take(&mut line.waiters) {
                self.acquires.take_back(&name, waiter.grant);
                self.out_of_line(&waiter);
                let _ = waiter.reply.send(Err(Error::Closed));
            }
            self.advance(&name);
        }
    }

    /// Lets the head ask if nothing stands in its way, and forgets a line that nobody stands in.
    pub(super) fn advance(&mut self, name: &LockName) {
        let (now, held_here) = (self.now(), self.locals.contains_key(name));
        let Some(line) = self.lines.get_mut(name) else { return };
        if line.is_unused(held_here) {
            self.forget_line(name);
        } else if line.head == Head::Idle && !held_here {
            // The first in line gets its last try at once, and the turn of others is put off. Who stands behind has none.
            let pause = if line.is_overdue(now) { None } else { line.strangers.take_pause() };
            match pause {
                Some(pause) => {
                    self.sleep(name, pause);
                    self.answer_overdue(name);
                }
                None => self.ask(name),
            }
        }
    }

    fn forget_line(&mut self, name: &LockName) {
        self.lines.remove(name);
        self.timers.cancel(&Timer::Ask(name.clone()));
    }

    pub(super) fn sleep(&mut self, name: &LockName, pause: Duration) {
        let Some(line) = self.lines.get_mut(name) else { return };
        line.head = Head::Sleeping;
        self.timers.set(self.now().after(pause), Timer::Ask(name.clone()));
    }

    /// The head has its lock.
    pub(super) fn hand_over(&mut self, name: &LockName, token: FencingToken, sent: Tick, deadline: Tick) {
        let Some(line) = self.lines.get_mut(name) else { return };
        let Some(waiter) = line.waiters.pop_front() else { return };
        *line = Line {
            waiters: std::mem::take(&mut line.waiters),
            marked_until: line.marked_until,
            turns: line.turns,
            strangers: std::mem::take(&mut line.strangers),
            ..Line::default()
        };
        line.strangers.are_kept_waiting(sent);
        self.locals.insert(name.clone(), Local::Holds(waiter.grant));
        self.timers.cancel(&Timer::WaitOver(name.clone(), waiter.caller));
        let waited = self.now().since(waiter.since);
        debug!(
            backend = self.calls.capabilities.backend,
            lock = name.as_str(),
            token = token.get(),
            ?waited,
            "lock granted"
        );
        match self.hold(&waiter, token, sent, deadline) {
            // A reply that nobody takes drops the lock, and that gives it back.
            Some(lock) => drop(waiter.reply.send(Ok(lock))),
            None => {
                self.local_gone(name, waiter.grant);
                self.undo(name, waiter.grant, waiter.wanted.lease, waiter.in_doubt);
            }
        }
        self.answer_overdue(name);
    }

    pub(super) fn refused(&mut self, name: &LockName, holder: Holder) {
        let (now, remaining, listening) = (self.now(), holder.remaining, self.listener.is_listening());
        let Some(line) = self.lines.get_mut(name) else { return };
        line.strangers.hold_it();
        if matches!(&line.known, Known::Refused(last, _) if last.token != holder.token) {
            // It goes from one to another: looking again soon is worth it.
            line.tries = 0;
        }
        line.known = Known::Refused(holder, now);
        line.races = 0;
        self.answer_overdue(name);
        let Some(line) = self.lines.get_mut(name) else { return };
        // A millisecond more, so that the lease is surely over by then.
        let lease_over = remaining.saturating_add(Duration::from_millis(1));
        if line.freed {
            return self.ask(name);
        }
        if !listening {
            self.listen_soon();
            let pause = self.pause(name);
            self.sleep(name, pause.min(lease_over));
            return;
        }
        let stands = line.marked_until.map_or(Duration::ZERO, |until| until.since(now));
        if stands < remaining.min(LONGEST_MARK / 2) {
            line.head = Head::Marking;
            // It stands for several leases, so that waiting costs about one statement a lease.
            let standing = remaining.saturating_mul(10).clamp(SHORTEST_MARK, LONGEST_MARK);
            self.send(self.calls.mark_waiting(MarkRequest::new(name.clone(), standing)));
        } else {
            self.sleep(name, lease_over.min(stands));
        }
    }

    pub(super) fn know(&mut self, name: &LockName, known: Known) {
        if let Some(line) = self.lines.get_mut(name) {
            line.known = known;
        }
    }

    /// The head asks again after a pause; whose wait is over hears what is known.
    pub(super) fn try_later(&mut self, name: &LockName) {
        self.answer_overdue(name);
        if self.lines.contains_key(name) {
            let pause = self.pause(name);
            self.sleep(name, pause);
        }
    }

    /// The next step of a jittered exponential back-off.
    fn pause(&mut self, name: &LockName) -> Duration {
        let tries = self.lines.get_mut(name).map_or(0, |line| {
            line.tries = line.tries.saturating_add(1);
            line.tries
        });
        self.env.jittered(FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST_PAUSE))
    }

    /// Answers all whose wait is over with what is known.
    fn answer_overdue(&mut self, name: &LockName) {
        let now = self.now();
        let by_self = match self.locals.get(name) {
            Some(Local::Holds(grant)) => self.leases.get(grant).map(|lease| lease.as_holder(now)),
            _ => None,
        };
        let Some(line) = self.lines.get_mut(name) else { return };
        let (over, waiting) = std::mem::take(&mut line.waiters)
            .into_iter()
            .partition::<VecDeque<_>, _>(|waiter| waiter.is_overdue(now));
        line.waiters = waiting;
        let answers: Vec<_> =
            over.into_iter().map(|waiter| (line.why_not(&waiter, by_self.as_ref(), now), waiter)).collect();
        for (why_not, waiter) in answers {
            self.out_of_line(&waiter);
            let _ = waiter.reply.send(Err(why_not));
        }
        let held_here = self.locals.contains_key(name);
        if self.lines.get(name).is_some_and(|line| line.is_unused(held_here)) {
            self.forget_line(name);
        }
    }

    /// A caller goes away without a lock: what may have been granted to it is undone.
    pub(super) fn out_of_line(&mut self, waiter: &Waiter) {
        self.timers.cancel(&Timer::WaitOver(waiter.wanted.name.clone(), waiter.caller));
        if waiter.in_doubt.is_some() {
            let Wanted { name, lease, .. } = &waiter.wanted;
            self.undo(name, waiter.grant, *lease, waiter.in_doubt);
        }
    }
}

impl Waiter {
    fn is_overdue(&self, now: Tick) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Line {
    /// The wait of the first in line is over: it has one last try.
    fn is_overdue(&self, now: Tick) -> bool {
        self.waiters.front().is_some_and(|waiter| waiter.is_overdue(now))
    }

    fn why_not(&self, waiter: &Waiter, by_self: Option<&Holder>, now: Tick) -> Error {
        let name = waiter.wanted.name.clone();
        match (&self.known, by_self) {
            (_, Some(holder)) => Error::Held { name, holder: holder.clone() },
            (Known::Refused(holder, at), None) => {
                let mut holder = holder.clone();
                holder.held_for = holder.held_for.saturating_add(now.since(*at));
                holder.remaining = holder.remaining.saturating_sub(now.since(*at));
                Error::Held { name, holder }
            }
            (Known::Failed(error), None) if waiter.wanted.wait == Some(Duration::ZERO) => {
                Error::Store { name: Some(name), source: error.clone() }
            }
            (Known::Failed(error), None) => {
                Error::WaitTimeout { name, waited: now.since(waiter.since), source: Some(error.clone()) }
            }
            (Known::Nothing, None) => {
                Error::WaitTimeout { name, waited: now.since(waiter.since), source: None }
            }
        }
    }
}
