//! The watchdog of `golock run`: a process of its own, in a session of its own, that runs the command and ends it, and
//! all of its group, when the lease is over, whatever has become of golock. Killed or stopped, golock tells it of no
//! more renewals.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{self as signals, SignalKind};

use super::group::Group;
use super::line::{Line, Order, Word, own_end, receive_file, send_file};
use super::moment::Moment;
use super::signals::Ignored;
use super::{adopt_orphans, itself};
use crate::arguments::Watchdog;
use crate::failure::Failure;

/// How long killed processes may take to go. None runs any more, but one that waits for a device goes when that
/// answers.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// Watches until the command has ended, or was ended.
///
/// # Errors
/// It could not be started. It then runs nowhere.
pub(crate) async fn watch(arguments: Watchdog) -> Result<(), Failure> {
    // What stops or ends golock's group or terminal is not for this process. It has not been told to begin yet.
    rustix::process::setsid().map_err(|error| failed("no session of its own", error.into()))?;
    let ignored = Ignored::now();
    for kind in CAUGHT.into_iter().filter(|kind| !ignored.has(kind.as_raw_value())) {
        let _ = signals::signal(kind).map_err(|error| failed("signals can't be caught", error))?;
    }
    let mut children =
        signals::signal(SignalKind::child()).map_err(|error| failed("signals can't be caught", error))?;
    adopt_orphans();
    let stream = own_end().map_err(|error| failed("golock can't be heard", error))?;
    let Some(stdin) = receive_file(&stream).map_err(|error| failed("golock can't be heard", error))? else {
        return Ok(());
    };
    let mut line = Line::over(stream).map_err(|error| failed("golock can't be heard", error))?;
    let Some(Order::Until(until)) = line.next().await else { return Ok(()) };

    let mut watch = Watch::begin(&arguments, stdin, until)?;
    // Unheard, it is never told to begin.
    let _ = line.tell(Word::Group(watch.group.leader()));
    let mut golock = Some(&mut line);
    while !watch.is_over() {
        tokio::select! {
            // What golock has said comes before what the clock says: this process too may have been stopped.
            biased;
            order = heard(&mut golock) => match order {
                Some(order) => watch.obey(order),
                None => {
                    golock = None;
                    watch.end_forsaken();
                }
            },
            _ = children.recv() => watch.bury(),
            () = watch.next_step() => watch.step(),
        }
    }
    // Nobody may be left to hear it.
    let _ = line.tell(Word::Ended { code: watch.code(), by_us: watch.asked_at.is_some() });
    Ok(())
}

/// What golock says next; `None` once: it is gone.
async fn heard(golock: &mut Option<&mut Line>) -> Option<Order> {
    match golock {
        Some(line) => line.next().await,
        None => std::future::pending().await,
    }
}

/// All by which somebody might want to end or bother golock.
const CAUGHT: [SignalKind; 7] = [
    SignalKind::hangup(),
    SignalKind::interrupt(),
    SignalKind::quit(),
    SignalKind::terminate(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
    SignalKind::alarm(),
];

/// A command that is watched.
struct Watch {
    group: Group,
    grace: Duration,
    /// By which the gate is told to become the command, with its standard input.
    gate: Option<(UnixStream, OwnedFd)>,
    /// All must have ended by then.
    until: Moment,
    /// When golock has passed on that it is to end.
    told_at: Option<Moment>,
    /// When the group was asked to end.
    asked_at: Option<Moment>,
    killed_at: Option<Moment>,
    /// How the command has ended, and when.
    ended: Option<(WaitStatus, Moment)>,
}

impl Watch {
    /// Starts what becomes the command, in a group of its own.
    fn begin(arguments: &Watchdog, stdin: OwnedFd, until: Moment) -> Result<Self, Failure> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed("no sockets", error))?;
        let mut gate = Command::new(itself());
        gate.arg0("golock").arg("gate").arg("--").args(&arguments.command);
        gate.stdin(Stdio::from(OwnedFd::from(theirs))).process_group(0);
        let child = gate.spawn().map_err(|error| failed("no process", error))?;
        drop(gate);
        let group = Group::led_by(child.id()).ok_or_else(|| Failure::internal("no process"))?;
        Ok(Self {
            group,
            grace: arguments.grace,
            gate: Some((ours, stdin)),
            until,
            told_at: None,
            asked_at: None,
            killed_at: None,
            ended: None,
        })
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Until(until) => self.until = self.until.max(until),
            Order::Begin => {
                if let Some((gate, stdin)) = self.gate.take() {
                    // If the gate was killed there is no command.
                    let _ = send_file(&gate, stdin);
                }
            }
            Order::End(at) => self.end(at),
            Order::Signal(signal) => {
                match Signal::from_named_raw(signal) {
                    // A stopped command would never hear of it.
                    Some(Signal::TERM) => {
                        self.told_at.get_or_insert_with(Moment::now);
                        self.group.terminate();
                    }
                    Some(signal) => self.group.signal(signal),
                    None => {}
                }
            }
        }
    }

    /// Asks the group to end now; it is killed after the grace, and not later than `at`.
    fn end(&mut self, at: Moment) {
        self.until = self.until.min(at).min(Moment::now().plus(self.grace));
        self.ask();
    }

    /// golock is gone. If it was to end, whoever has killed it has let it the grace before: this is all that there is.
    fn end_forsaken(&mut self) {
        self.end(self.told_at.map_or(self.until, |at| at.plus(self.grace)));
    }

    fn ask(&mut self) {
        if self.asked_at.is_none() && self.ended.is_none() {
            self.asked_at = Some(Moment::now());
            // What is not the command yet ends when nobody can tell it to begin.
            self.gate = None;
            self.group.terminate();
        }
    }

    /// Once asked to end, or left behind by the command, the group has the grace; but never more than the lease.
    fn kill_at(&self) -> Moment {
        let since = self.ended.map(|(_, at)| at).or(self.asked_at);
        since.map_or(self.until, |since| since.plus(self.grace).min(self.until))
    }

    /// Returns when there is something to do.
    async fn next_step(&self) {
        if self.ended.is_some() {
            tokio::select! {
                biased;
                () = self.group.empty() => {}
                () = self.kill_or_give_up() => {}
            }
        } else if self.asked_at.is_some() {
            self.kill_or_give_up().await;
        } else {
            self.until.minus(self.grace).come().await;
        }
    }

    async fn kill_or_give_up(&self) {
        match self.killed_at {
            Some(at) => at.plus(GONE_WITHIN).come().await,
            None => self.kill_at().come().await,
        }
    }

    fn step(&mut self) {
        if self.kill_at().has_come() && self.killed_at.is_none() {
            self.killed_at = Some(Moment::now());
            self.asked_at = self.asked_at.or(self.killed_at.filter(|_| self.ended.is_none()));
            self.group.kill();
        } else if self.until.minus(self.grace).has_come() {
            self.ask();
        }
    }

    /// Takes note of the children that have ended: the command, and orphans that it left.
    fn bury(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid.as_raw_nonzero().get() == self.group.leader() {
                self.ended = Some((status, Moment::now()));
            }
        }
    }

    /// The command has ended and left nothing behind, or all was killed that can be.
    fn is_over(&self) -> bool {
        let given_up = self.killed_at.is_some_and(|at| at.plus(GONE_WITHIN).has_come());
        given_up || (self.ended.is_some() && self.group.is_empty())
    }

    /// The command's exit code, as a shell has it.
    fn code(&self) -> u8 {
        const KILLED: u8 = 137;
        let code = self.ended.and_then(|(status, _)| {
            status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
        });
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(KILLED)
    }
}

fn failed(what: &str, error: io::Error) -> Failure {
    Failure::internal(format!("the watchdog: {what}: {error}"))
}
