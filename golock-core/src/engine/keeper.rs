//! The keeper: one task per locker that owns every call of the store, from before its first byte is sent.
//!
//! Locks and callers' futures only send it commands, so dropping them leaks nothing: whatever was under way
//! is finished, and undone if nobody wants it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::call::{Calls, Done, What};
use super::command::Command;
use super::ending::Ending;
use super::env::{Env, Tick};
use super::holding::Holding;
use super::line::Line;
use super::listener::Listener;
use super::local::Local;
use super::outbox::Outbox;
use super::timers::{Timer, Timers};
use crate::store::{AcquireRequest, ReleaseRequest};
use crate::{Error, GrantId, LockName, LostReason};

/// The shortest margin between the deadline that a holder believes in and the end of its lease.
const MIN_MARGIN: Duration = Duration::from_millis(1);

pub(crate) struct Keeper {
    pub(super) calls: Calls,
    pub(super) env: Env,
    /// The share of a lease that is kept as a margin for clocks that run at different rates.
    pub(super) margin: f64,
    pub(super) commands: mpsc::WeakUnboundedSender<Command>,
    /// Names that somebody waits for. Most locks are never waited for, and have none.
    pub(super) lines: BTreeMap<LockName, Line>,
    /// Names that a grant of this very locker holds, or gives back at the moment.
    pub(super) locals: BTreeMap<LockName, Local>,
    /// Locks that nobody has given back yet, held or lost.
    pub(super) leases: BTreeMap<GrantId, Holding>,
    /// When each lease may run out, and when it is to be renewed: one timer stands for the earliest.
    pub(super) deadlines: BTreeSet<(Tick, GrantId)>,
    pub(super) renewals: BTreeSet<(Tick, GrantId)>,
    pub(super) endings: BTreeMap<GrantId, Ending>,
    pub(super) acquires: Outbox<AcquireRequest>,
    pub(super) releases: Outbox<ReleaseRequest>,
    pub(super) listener: Listener,
    pub(super) timers: Timers,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    closing: Option<Closing>,
}

/// Nothing new is begun; the keeper ends when nothing is left.
#[derive(Default)]
struct Closing {
    replies: Vec<oneshot::Sender<usize>>,
    over: bool,
}

impl Keeper {
    pub(crate) fn new(
        calls: Calls,
        env: Env,
        margin: f64,
        commands: mpsc::WeakUnboundedSender<Command>,
    ) -> Self {
        let together = calls.capabilities.batches.then_some(calls.capabilities.max_batch);
        Self {
            calls,
            env,
            margin,
            commands,
            lines: BTreeMap::new(),
            locals: BTreeMap::new(),
            leases: BTreeMap::new(),
            endings: BTreeMap::new(),
            acquires: Outbox::new(together),
            releases: Outbox::new(together),
            listener: Listener::default(),
            timers: Timers::default(),
            deadlines: BTreeSet::new(),
            renewals: BTreeSet::new(),
            under_way: FuturesUnordered::new(),
            closing: None,
        }
    }

    /// Runs until every handle is gone or a shutdown is done. Timers go first: a renewal that is due must not
    /// queue behind new work.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut handles_gone = false;
        loop {
            while let Some(timer) = self.timers.pop(self.now()) {
                self.fire(timer);
            }
            self.flush();
            if self.is_done() {
                break;
            }
            let clock = self.calls.clock.clone();
            let next = self.next_due();
            tokio::select! {
                biased;
                () = async { match next {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }} => {}
                Some(done) = self.under_way.next() => self.done(done),
                event = self.listener.next() => self.woken(event),
                command = commands.recv(), if !handles_gone => match command {
                    Some(command) => {
                        self.command(command);
                        self.hear_the_others(&mut commands).await;
                    }
                    None => {
                        handles_gone = true;
                        self.closing.get_or_insert_default();
                    }
                },
            }
        }
        // What comes too late is dropped unanswered, which its caller sees as closed.
        let left = self.held();
        for reply in self.closing.into_iter().flat_map(|closing| closing.replies) {
            let _ = reply.send(left);
        }
    }

    /// All that is asked at this moment, so that it is sent together. Whoever was answered just now gets to ask as well:
    /// else batches of one and of all the others would take turns.
    async fn hear_the_others(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) {
        if !self.has_one_name() {
            tokio::task::yield_now().await;
        }
        for _ in 0..commands.len() {
            if let Ok(command) = commands.try_recv() {
                self.command(command);
            }
        }
    }

    /// Whether all that is held and waited for is one name, at most.
    fn has_one_name(&self) -> bool {
        let held = self.locals.first_key_value().map(|(name, _)| name);
        let waited_for = self.lines.first_key_value().map(|(name, _)| name);
        self.locals.len() <= 1
            && self.lines.len() <= 1
            && held.is_none_or(|held| waited_for.is_none_or(|name| name == held))
    }

    /// Sends what need not wait for company.
    pub(super) fn flush(&mut self) {
        let now = self.now();
        while let Some(batch) = self.acquires.next(now) {
            self.send(self.calls.acquire(batch, now));
        }
        while let Some(batch) = self.releases.next(now) {
            self.send(self.calls.release(batch, now));
        }
    }

    fn next_due(&self) -> Option<Tick> {
        let due = [self.timers.next(), self.acquires.held_up_until(), self.releases.held_up_until()];
        due.into_iter().flatten().min()
    }

    pub(super) fn now(&self) -> Tick {
        self.calls.clock.now()
    }

    pub(super) fn send(&mut self, call: BoxFuture<'static, Done>) {
        self.under_way.push(call);
    }

    /// Until when a lease may be believed in, if the server said at some time after `sent` that it has
    /// `remaining` left.
    pub(super) fn deadline(&self, sent: Tick, remaining: Duration, lease: Duration) -> Tick {
        let margin = lease.mul_f64(self.margin).max(MIN_MARGIN);
        sent.after(remaining.min(lease).saturating_sub(margin))
    }

    fn held(&self) -> usize {
        self.leases.values().filter(|holding| holding.lease.is_held()).count()
    }

    fn is_done(&self) -> bool {
        let Some(closing) = &self.closing else { return false };
        // A lock that was given back on another thread stays among the leases until the keeper has heard of it, and one that ran out here may
        // live on on the server, to be given back.
        let now = self.now();
        let ended = |holding: &Holding| match holding.lease.lost_by() {
            Some(LostReason::Expired) => holding.over <= now,
            lost_by => lost_by.is_some(),
        };
        let all_ended = || self.leases.values().all(ended);
        closing.over || (self.endings.is_empty() && self.under_way.is_empty() && all_ended())
    }

    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Lock { reply, .. } if self.closing.is_some() => {
                let _ = reply.send(Err(Error::Closed));
            }
            Command::Lock { caller, wanted, series, reply } => {
                self.get_in_line(caller, wanted, series, reply);
            }
            Command::Leave { name, caller } => self.leave(&name, caller),
            Command::Extend { lease, to, reply } => self.extend(&lease, to, reply),
            Command::Release { lease, at_least, reply } => self.release(&lease, at_least, reply),
            // Dropped unanswered, which its caller sees as closed.
            Command::Run(_) if self.closing.is_some() => {}
            Command::Run(call) => self.send(Box::pin(async move {
                call.await;
                Done { sent: Tick::START, what: What::Ran }
            })),
            Command::Shutdown { timeout, reply } => self.shut_down(timeout, reply),
        }
    }

    pub(super) fn done(&mut self, Done { sent, what }: Done) {
        match what {
            What::Acquired(requests, answers) => self.acquired(requests, sent, answers),
            What::Renewed(requests, answers) => self.renewed(requests, sent, answers),
            What::Extended(request, reply, answer) => self.extended(&request, sent, reply, answer),
            What::Released(requests, answers) => self.released(requests, sent, answers),
            What::HandedOver(request, answer) => self.handed_over(&request, sent, answer),
            What::Marked(request, outcome) => self.marked(&request, sent, outcome),
            What::Ran => {}
        }
    }

    pub(super) fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Deadline => self.check_deadline(),
            Timer::Renew => self.renew_due(),
            Timer::End(grant) => self.end_again(grant),
            Timer::Ask(name) => self.wake(&name),
            Timer::WaitOver(name, caller) => self.wait_over(&name, caller),
            Timer::Listen => self.listen(),
            Timer::ShutdownOver => {
                if let Some(closing) = &mut self.closing {
                    closing.over = true;
                }
            }
        }
    }

    fn shut_down(&mut self, timeout: Duration, reply: oneshot::Sender<usize>) {
        self.closing.get_or_insert_default().replies.push(reply);
        self.timers.set_earlier(self.now().after(timeout), Timer::ShutdownOver);
        self.close_lines();
    }
}
