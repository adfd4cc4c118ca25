//! `golock run`: a command, while a lock is held.
//!
//! Three processes: golock holds the lock and renews it; the [watchdog] runs the command, in a group of its own, and
//! ends the group when golock has not told it in time of another renewal; the [gate](wait_and_become) becomes the
//! command once golock knows the group, so that there is no moment at which one of the two could die and leave a
//! command behind that nobody watches.

mod gate;
mod group;
mod line;
mod moment;
mod signals;
mod watchdog;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use golock_core::{Error, Lock, Locker, LostReason};
use rustix::process::{Pid, Signal, WaitOptions, kill_process};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout};

use self::group::Group;
use self::line::{Line, Order, Word, send_file};
use self::moment::Moment;
use self::signals::Signals;
use crate::arguments::Run;
use crate::failure::{Failure, LOST, chain};
use crate::say;
use crate::store::{IfMissing, Store};

pub(crate) use self::gate::wait_and_become;
pub(crate) use self::watchdog::watch;

/// Locks, runs the command, unlocks: the exit code.
///
/// # Errors
/// The lock could not be had, the command not be run, or the lock was lost.
pub(crate) async fn run(store: &Store, arguments: &Run) -> Result<u8, Failure> {
    arguments.check()?;
    let mut signals = Signals::listen()?;
    let begun = Instant::now();
    let locker = tokio::select! {
        biased;
        locker = connect(store, arguments, begun) => locker?,
        signal = signals.next_that_ends() => return Ok(code_of(signal)),
    };
    let acquired = tokio::select! {
        biased;
        lock = acquire(&locker, arguments, begun) => lock.map_err(Err),
        signal = signals.next_that_ends() => Err(Ok(code_of(signal))),
    };
    let lock = match acquired {
        Ok(lock) => lock,
        Err(ended) => {
            locker.shutdown(UNDONE_WITHIN).await;
            return ended;
        }
    };
    let end = match Job::start(arguments, &lock) {
        Ok(job) => job.last(&lock, &mut signals).await,
        Err(failure) => ended_with(failure, &mut signals).await,
    };
    let name = lock.name().clone();
    let given_back = lock.unlock().await;
    let End { code, by_us } = end?;
    match (by_us, given_back) {
        (false, Ok(())) => Ok(code),
        // What has ended by itself says itself how.
        (false, Err(error @ Error::Lost { .. })) => {
            say(&format!("{}, maybe before the command had ended", chain(&error)));
            Ok(code)
        }
        (false, Err(error)) => {
            say(&format!("{}: it stays taken until its lease ends", chain(&error)));
            Ok(code)
        }
        (true, Err(error @ Error::Lost { .. })) => {
            Err(Failure::new(LOST, format!("{}: the command was ended", chain(&error))))
        }
        (true, _) => {
            let why = "its lease could not be renewed in time: the command was ended";
            Err(Failure::new(LOST, format!("lock {name:?}: {why}")))
        }
    }
}

/// A signal that reached the watchdog, too, before that had left golock's group: it is what has ended both.
async fn ended_with(failure: Failure, signals: &mut Signals) -> Result<End, Failure> {
    match timeout(SIGNALLED_WITHIN, signals.next_that_ends()).await {
        Ok(signal) => Ok(End { code: code_of(signal), by_us: false }),
        Err(_) => Err(failure),
    }
}

/// How soon after its watchdog golock hears of a signal to both.
const SIGNALLED_WITHIN: Duration = Duration::from_millis(100);

/// How long what may have been granted to nobody may take to be given back: by an acquire that was interrupted, or whose answer was
/// lost.
const UNDONE_WITHIN: Duration = Duration::from_secs(2);

/// The program to start once more: this one, also if its file has been replaced meanwhile.
fn itself() -> PathBuf {
    if cfg!(target_os = "linux") {
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().unwrap_or_else(|_| PathBuf::from("golock"))
    }
}

/// Makes this process the parent of whatever its descendants leave behind, where the system can.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // Without it a group is less surely known to have gone; nothing else depends on it.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// How long after a failed connect another is tried.
const PAUSE: Duration = Duration::from_millis(250);

/// Who waits for a lock waits for its server, too: it may be starting.
async fn connect(store: &Store, arguments: &Run, begun: Instant) -> Result<Locker, Failure> {
    loop {
        match store.connect(IfMissing::Create).await {
            Err(failure) if failure.is_transient() && arguments.still_waits(begun.elapsed() + PAUSE) => {
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// The lock, with enough of its lease left to begin with.
async fn acquire(locker: &Locker, arguments: &Run, begun: Instant) -> Result<Lock, Failure> {
    let lease = arguments.lease();
    loop {
        let options = arguments.options(begun.elapsed());
        let lock = match arguments.wait {
            None => locker.try_lock(options).await,
            Some(_) => locker.lock(options).await,
        };
        let lock = lock.map_err(|error| refused(error, arguments))?;
        match freshen(&lock, lease).await {
            Ok(()) => return Ok(lock),
            Err(error) if arguments.wait.is_some() && (error.is_lost() || error.is_transient()) => {}
            Err(error) => return Err(Failure::from(error)),
        }
    }
}

/// How often a lease is extended before its command begins.
const FRESHENED: usize = 3;

/// A grant counts from when it was asked for: one that a hung server gave late may be as good as over, and its command
/// would be ended as soon as it began.
async fn freshen(lock: &Lock, lease: Duration) -> Result<(), Error> {
    // A server that is no quicker than that leaves the command what there is.
    for _ in 0..FRESHENED {
        if lock.remaining() > lease / 2 {
            break;
        }
        lock.extend(lease).await?;
    }
    Ok(())
}

async fn until_either(clock: &mut Interval, moment: Moment) {
    tokio::select! {
        _ = clock.tick() => {}
        () = moment.come() => {}
    }
}

fn refused(error: Error, arguments: &Run) -> Failure {
    if !error.is_held() {
        return error.into();
    }
    let held = Failure::from(error).with_code(arguments.busy_code);
    if arguments.quiet { held.quietly() } else { held }
}

fn code_of(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}

/// A command that runs while a lock is held.
struct Job {
    line: Line,
    watchdog: Option<Pid>,
    group: Option<Group>,
    /// Between the moment by which the watchdog has killed the group and the deadline of the lock.
    lead: Duration,
    grace: Duration,
    pace: Duration,
    /// What the watchdog was told.
    until: Moment,
    lost: Option<LostReason>,
}

/// How a command has ended.
struct End {
    code: u8,
    by_us: bool,
}

/// How long the watchdog may take to say that a killed group has gone.
const GONE_WITHIN: Duration = Duration::from_secs(3);

impl Job {
    /// Starts the watchdog, and tells it until when the lease can be relied on.
    fn start(arguments: &Run, lock: &Lock) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::internal(format!("no watchdog: {error}"));
        adopt_orphans();
        let lease = arguments.lease();
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut watchdog = Command::new(itself());
        watchdog
            .arg0("golock")
            .arg("watchdog")
            .arg(format!("--grace={}ns", arguments.grace().as_nanos()))
            .arg("--")
            .args(&arguments.command)
            .env("GOLOCK_NAME", lock.name().as_str())
            .env("GOLOCK_TOKEN", lock.token().to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)));
        let child = watchdog.spawn().map_err(failed)?;
        drop(watchdog);
        send_file(&ours, io::stdin()).map_err(failed)?;
        let mut job = Self {
            line: Line::over(ours).map_err(failed)?,
            watchdog: i32::try_from(child.id()).ok().and_then(Pid::from_raw),
            group: None,
            lead: (lease / 20).min(Duration::from_millis(100)),
            grace: arguments.grace(),
            pace: (lease / 20).clamp(Duration::from_millis(5), Duration::from_millis(500)),
            until: Moment::from_nanos(0),
            lost: None,
        };
        job.tell_until(lock);
        Ok(job)
    }

    /// Returns when the command has ended, or was ended.
    ///
    /// # Errors
    /// The watchdog failed; nothing of the command runs any more.
    async fn last(mut self, lock: &Lock, signals: &mut Signals) -> Result<End, Failure> {
        let mut lost = Box::pin(lock.lost());
        let mut clock = interval(self.pace);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let late = self.late();
            tokio::select! {
                biased;
                word = self.line.next() => match word {
                    Some(Word::Group(leader)) => {
                        self.group = u32::try_from(leader).ok().and_then(Group::led_by);
                        self.tell(Order::Begin);
                    }
                    Some(Word::Ended { code, by_us }) => return Ok(End { code, by_us }),
                    None => return match self.group {
                        Some(group) => Err(without_watchdog(group).await),
                        None => {
                            let failure = Failure::internal("the watchdog ended before the command began");
                            ended_with(failure, signals).await
                        }
                    },
                },
                reason = &mut lost, if self.lost.is_none() => {
                    self.lost = Some(reason);
                    // Until then nobody else is granted the lock, unless it was forced open: then it is late anyhow.
                    self.until = self.until.min(Moment::now().plus(self.grace));
                    self.tell(Order::End(self.until));
                }
                signal = signals.next() => self.tell(Order::Signal(signal.as_raw())),
                () = until_either(&mut clock, late) => {
                    self.tell_until(lock);
                    if self.late().has_come() {
                        return Ok(self.kill().await);
                    }
                }
            }
        }
    }

    /// When the watchdog should have ended all, and the lease still lasts a moment.
    fn late(&self) -> Moment {
        self.until.plus(self.lead / 2)
    }

    /// The lease may have been renewed.
    fn tell_until(&mut self, lock: &Lock) {
        // In this order: should this process be stopped in between, it says less than there is.
        let now = Moment::now();
        let remaining = lock.remaining().saturating_sub(self.lead);
        let until = now.plus(remaining);
        if self.lost.is_none() && until > self.until {
            self.until = until;
            self.tell(Order::Until(until));
        }
    }

    fn tell(&self, order: Order) {
        // A watchdog that is gone shows by the end of its line; one that does not listen, by the end of the lease.
        let _ = self.line.tell(order);
    }

    /// The watchdog should have done it by now: it may have been stopped.
    async fn kill(mut self) -> End {
        if let Some(group) = self.group {
            group.kill();
        }
        let said = timeout(GONE_WITHIN, self.line.next()).await;
        if let Ok(Some(Word::Ended { code, by_us })) = said {
            return End { code, by_us };
        }
        if let Some(watchdog) = self.watchdog {
            // It has not been waited for, so it is no other's number.
            let _ = kill_process(watchdog, Signal::KILL);
        }
        End { code: LOST, by_us: true }
    }
}

/// Somebody has killed the watchdog: the command ends too, for golock might be next.
async fn without_watchdog(group: Group) -> Failure {
    // Its first process is now a child of this one, and has not been waited for.
    group.kill();
    let gone = async {
        while !group.is_empty() {
            while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
            let _ = timeout(Duration::from_millis(10), group.empty()).await;
        }
    };
    let _ = timeout(GONE_WITHIN, gone).await;
    Failure::internal("the watchdog was killed: the command was ended")
}
