//! Another process: this test's own program, told by its environment what to do.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]
#![allow(clippy::print_stdout, reason = "it is how the child tells the test what it has done")]

use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use golock_core::{Error, FencingToken, LockOptions, Locker};
use golock_sqlite::SqliteStore;
use rusqlite::Connection;
use tokio::runtime::Runtime;

/// What a process does.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// Opens the file when it is told to.
    Ready,
    /// Locks, tells the token, and unlocks when it is told to.
    Hold,
    /// Locks, tells the token, extends, unlocks, again and again, and writes much besides.
    LockAndUnlock,
    /// Deletes all rows by a transaction that it does not end.
    LeaveATransactionOpen,
}

/// A process that runs, until it is dropped or killed.
pub(crate) struct Child {
    process: std::process::Child,
    told: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

const ACT: &str = "GOLOCK_SQLITE_ACT";
const FILE: &str = "GOLOCK_SQLITE_FILE";
const LEASE_MS: &str = "GOLOCK_SQLITE_LEASE_MS";

impl Child {
    pub(crate) fn start(act: Act, file: &Path, lease: Duration) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .env(ACT, act.name())
            .env(FILE, file)
            .env(LEASE_MS, lease.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, said) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, told, said: BufReader::new(said).lines() }
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.told, "{line}").unwrap();
    }

    pub(crate) fn until_it_says(&mut self, line: &str) {
        let said = self.said.next().unwrap().unwrap();
        assert_eq!(said, line);
    }

    /// The next token that it tells.
    pub(crate) fn token(&mut self) -> FencingToken {
        token(&self.said.next().unwrap().unwrap())
    }

    /// As `kill -9` does; returns when it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// All that it has told and nobody has heard yet. It has ended, perhaps in the middle of a line.
    pub(crate) fn tokens_left(&mut self) -> Vec<FencingToken> {
        let lines = self.said.by_ref().map_while(Result::ok);
        lines.filter(|line| line.ends_with('.')).map(|line| token(&line)).collect()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Act {
    const ALL: [Self; 4] = [Self::Ready, Self::Hold, Self::LockAndUnlock, Self::LeaveATransactionOpen];

    fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Hold => "hold",
            Self::LockAndUnlock => "lock-and-unlock",
            Self::LeaveATransactionOpen => "leave-a-transaction-open",
        }
    }
}

/// Does what the environment asks for, if this process was started for that.
pub(crate) fn act_if_asked() -> Option<ExitCode> {
    let act = env::var(ACT).ok()?;
    let act = Act::ALL.into_iter().find(|known| known.name() == act).unwrap();
    let file = env::var_os(FILE).unwrap();
    let lease = Duration::from_millis(env::var(LEASE_MS).unwrap().parse().unwrap());
    Runtime::new().unwrap().block_on(run(act, Path::new(&file), lease)).unwrap();
    Some(ExitCode::SUCCESS)
}

async fn run(act: Act, file: &Path, lease: Duration) -> Result<(), Error> {
    let options = || LockOptions::new("shared").lock_by("child").lock_at_most(lease);
    match act {
        Act::Ready => {
            println!("waits");
            hear();
            SqliteStore::new(file)?.ready().await?;
            println!("ready");
        }
        Act::Hold => {
            let lock = Locker::new(SqliteStore::new(file)?).try_lock(options()).await?;
            println!("{}.", lock.token());
            hear();
            match lock.unlock().await {
                Ok(()) => println!("unlocked"),
                Err(Error::Lost { reason, .. }) => println!("lost: {reason:?}"),
                Err(error) => return Err(error),
            }
        }
        Act::LockAndUnlock => {
            let locker = Locker::new(SqliteStore::new(file)?);
            tokio::spawn(write_without_pause(locker.clone()));
            loop {
                let lock = locker.lock(options()).await?;
                println!("{}.", lock.token());
                // Each may fail on a busy machine: the lease may be over.
                let _ = lock.extend(lease).await;
                let _ = lock.unlock().await;
            }
        }
        Act::LeaveATransactionOpen => {
            let connection = Connection::open(file).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM golock").unwrap();
            println!("deleted everything");
            hear();
        }
    }
    Ok(())
}

/// Locks that nobody else wants, so that this process is in the middle of a transaction most of the time.
async fn write_without_pause(locker: Locker) {
    for round in 0.. {
        let name = format!("own/{}/{}", std::process::id(), round % 10);
        if let Ok(lock) = locker.try_lock(LockOptions::new(name)).await {
            let _ = lock.extend(Duration::from_secs(60)).await;
            let _ = lock.unlock().await;
        }
        let _ = locker.purge(Duration::from_secs(1)).await;
    }
}

/// Waits for a line, or for the end of whoever would write it.
fn hear() {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).unwrap();
}

fn token(line: &str) -> FencingToken {
    FencingToken::new(line.trim_end_matches('.').parse().unwrap())
}
