//! A process of the same program that holds a lock, to be killed or stopped.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use golock_core::{FencingToken, LockName};
use tokio::sync::mpsc;
use tokio::time;

use crate::clock::{self, ProcessClock};
use crate::effort::GIVE_UP;
use crate::fixture::BoxError;

/// The variable that tells a process that it is such a holder: `server space`.
pub(super) const HOLDER: &str = "GOLOCK_FAULTS_HOLDER";

/// What a holder understands, a line each.
pub(super) mod words {
    /// `lock LEASE_MS NAME`: `granted TOKEN` or `refused`.
    pub(crate) const LOCK: &str = "lock";
    /// `write`: `write TOKEN` if it believes, else `lost`.
    pub(crate) const WRITE: &str = "write";
    /// `check`: `checked` if it believes, and a moment later, without another look, `write TOKEN`; else `lost`.
    pub(crate) const CHECK: &str = "check";
    /// `clock`: `clock SECONDS`, what it thinks is the time since 1970.
    pub(crate) const CLOCK: &str = "clock";
    pub(crate) const GRANTED: &str = "granted";
    pub(crate) const REFUSED: &str = "refused";
    pub(crate) const CHECKED: &str = "checked";
    pub(crate) const LOST: &str = "lost";
    /// `failed WHY`, in place of any answer: it has ended.
    pub(crate) const FAILED: &str = "failed";
}

/// The process, in the hands of the run. Killed when it is dropped.
pub(super) struct Holder {
    child: Child,
    says: ChildStdin,
    hears: mpsc::UnboundedReceiver<String>,
}

impl Holder {
    pub(super) fn start(
        server: &str,
        space: &str,
        environment: Vec<(String, String)>,
        clock: Option<&ProcessClock>,
    ) -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(HOLDER, format!("{server} {space}"))
            .envs(environment)
            .envs(clock.into_iter().flat_map(ProcessClock::environment))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let says = child.stdin.take().ok_or("a holder without input")?;
        let output = child.stdout.take().ok_or("a holder without output")?;
        let (heard, hears) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                // Nobody listens to a holder that is done.
                let _ = heard.send(line);
            }
        });
        Ok(Self { child, says, hears })
    }

    /// Its token, unless it was refused.
    pub(super) async fn lock(
        &mut self,
        name: &LockName,
        lease: Duration,
    ) -> Result<Option<FencingToken>, BoxError> {
        self.say(&format!("{} {} {name}", words::LOCK, lease.as_millis()))?;
        let answer = self.hear().await?;
        match answer.split_once(' ') {
            Some((words::GRANTED, token)) => Ok(Some(FencingToken::new(token.parse()?))),
            _ if answer == words::REFUSED => Ok(None),
            _ => Err(format!("a holder said {answer:?}").into()),
        }
    }

    /// Whether it wants to write: it believes.
    pub(super) async fn believes(&mut self) -> Result<bool, BoxError> {
        self.say(words::WRITE)?;
        Ok(self.hear().await? != words::LOST)
    }

    /// It looks whether it believes, and is about to write if so.
    pub(super) async fn check(&mut self) -> Result<bool, BoxError> {
        self.say(words::CHECK)?;
        Ok(self.hear().await? == words::CHECKED)
    }

    /// The write that it was about to make has come.
    pub(super) async fn wrote(&mut self) -> Result<(), BoxError> {
        self.hear().await.map(drop)
    }

    /// By how many seconds its clock is ahead of this process's.
    pub(super) async fn clock_ahead(&mut self) -> Result<i64, BoxError> {
        self.say(words::CLOCK)?;
        let answer = self.hear().await?;
        match answer.split_once(' ') {
            Some((words::CLOCK, seconds)) => Ok(clock::ahead(seconds.parse()?)),
            _ => Err(format!("a holder said {answer:?}").into()),
        }
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) -> Result<(), BoxError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGSTOP.
    #[cfg(unix)]
    pub(super) fn stop(&self) -> Result<(), BoxError> {
        self.signal(rustix::process::Signal::STOP)
    }

    /// SIGCONT.
    #[cfg(unix)]
    pub(super) fn go_on(&self) -> Result<(), BoxError> {
        self.signal(rustix::process::Signal::CONT)
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) -> Result<(), BoxError> {
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?)
    }

    fn say(&mut self, line: &str) -> Result<(), BoxError> {
        Ok(writeln!(self.says, "{line}")?)
    }

    async fn hear(&mut self) -> Result<String, BoxError> {
        match time::timeout(GIVE_UP, self.hears.recv()).await {
            Ok(Some(line)) => match line.split_once(' ') {
                Some((words::FAILED, why)) => Err(format!("a holder failed: {why}").into()),
                _ => Ok(line),
            },
            Ok(None) => Err("a holder ended by itself".into()),
            Err(_) => Err("a holder said nothing".into()),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.kill();
    }
}
