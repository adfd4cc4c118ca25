//! The golock command in the hands of a test: with a store of its own, and patience.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A directory of a test's own, and the store that its golocks use.
pub(crate) struct Place {
    directory: PathBuf,
    store: String,
}

impl Place {
    /// With a file for a store, found as a user's own is who names none.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = format!("golock-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(own);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Self { directory, store: String::new() }
    }

    /// With a server for a store.
    pub(crate) fn at(url: &str) -> Self {
        let mut place = Self::new();
        url.clone_into(&mut place.store);
        place
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// golock with these arguments, split at spaces.
    pub(crate) fn golock(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_golock"));
        command.args(arguments.split_whitespace());
        self.over_its_store(command)
    }

    /// golock with these arguments, on a terminal that is made for it, and has no size.
    pub(crate) fn golock_on_a_terminal(&self, arguments: &str) -> Command {
        let mut command = Command::new("script");
        let golock = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_golock"));
        command.args(["--quiet", "--return", "--command", &golock, "/dev/null"]).env("SHELL", "/bin/sh");
        self.over_its_store(command)
    }

    fn over_its_store(&self, mut command: Command) -> Command {
        command.env("XDG_STATE_HOME", &self.directory).stdin(Stdio::null());
        match &*self.store {
            "" => command.env_remove("GOLOCK_STORE"),
            url => command.env("GOLOCK_STORE", url),
        };
        command
    }

    /// golock with these arguments and then `-- sh -c script`.
    pub(crate) fn golock_sh(&self, arguments: &str, script: &str) -> Command {
        let mut command = self.golock(arguments);
        command.args(["--", "sh", "-c", script]);
        command
    }

    /// What it says, once it has ended.
    pub(crate) fn said(&self, arguments: &str) -> Said {
        Said::by(self.golock(arguments))
    }

    /// A golock that runs beside the test, and is killed with it.
    pub(crate) fn start(&self, command: Command) -> Running {
        Self::spawn(command, Stdio::piped())
    }

    /// As [`start`](Self::start), but whoever reads the test's own output sees what it says of errors.
    pub(crate) fn start_aloud(&self, command: Command) -> Running {
        Self::spawn(command, Stdio::inherit())
    }

    fn spawn(mut command: Command, errors: Stdio) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child: Some(child), stdin, lines }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left over harms nobody.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// What a golock said, and its exit code.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn by(mut command: Command) -> Self {
        Self::of(command.output().unwrap())
    }

    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It failed with this code, and said why in one line.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert!(self.err.starts_with("golock: "), "{self:?}");
        &self.err
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}, out {:?}, err {:?}", self.code, self.out, self.err)
    }
}

/// A golock that runs.
pub(crate) struct Running {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// The next line that it or its command says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.as_ref().unwrap().id()).unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, self.pid());
    }

    /// Says a line to the command.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends the command's input, and waits for the end.
    pub(crate) fn end(mut self) -> Said {
        drop(self.stdin.take());
        let mut child = self.child.take().unwrap();
        let mut out = String::new();
        std::io::Read::read_to_string(&mut self.lines, &mut out).unwrap();
        let mut err = String::new();
        // Who was started aloud has said it already.
        if let Some(mut errors) = child.stderr.take() {
            std::io::Read::read_to_string(&mut errors, &mut err).unwrap();
        }
        Said { code: child.wait().unwrap().code().unwrap_or(-1), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Its watchdog sees to the rest.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a signal by its name.
pub(crate) fn kill(signal: &str, pid: i32) {
    // 0 would be this test and whoever runs it.
    assert!(pid > 1, "there is no such process: {pid}");
    // One that has ended meanwhile is a matter of the test's conditions.
    let _ =
        Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Waits for a condition, and gives up late.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// No such process runs any more that has `mark` in its command line.
#[track_caller]
pub(crate) fn until_gone(pid: i32, mark: &str) {
    let command_line = format!("/proc/{pid}/cmdline");
    until(&format!("process {pid} is gone"), || {
        !fs::read(&command_line).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    });
}
