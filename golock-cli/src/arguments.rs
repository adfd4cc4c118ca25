//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use golock_core::LockOptions;

use crate::failure::{BUSY, Failure, USAGE};

/// Distributed locks from the command line: run a job on one machine at a time, see who holds what, check the server.
#[derive(Debug, Parser)]
#[command(name = "golock", version, after_help = EXAMPLES, subcommand_required = true)]
pub(crate) struct Arguments {
    /// Where the locks are: sqlite:///path/locks.db, redis://…, rediss://…, postgres://…, mysql://…, mariadb://…,
    /// mongodb://…, mssql://… [default: a file of this user's]
    // Its value is never shown: it may have a password.
    #[arg(long, global = true, value_name = "URL", env = "GOLOCK_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,

    /// The table, collection or prefix of keys of the locks; with a schema, or MySQL's database, before it: ops.locks
    /// [default: golock; Redis: golock:]
    #[arg(long, global = true, value_name = "NAME", env = "GOLOCK_TABLE")]
    pub(crate) table: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  golock run nightly -- ./report.sh               one at a time on this machine, no server
  export GOLOCK_STORE=postgres://app@db/app       from here on, on all machines
  golock run nightly --at-least 30s -- ./report.sh
  golock run deploy --wait 10m -- make deploy     waits for its turn
  golock ls
  golock doctor

Exit codes: those of the command that was run; 1 a negative answer, 64 wrong usage, 69 no store, 70 a fault of golock,
74 the lock was lost, 75 another holds it, 77 no permission, 78 a setting stands in the way, 126 and 127 the command
can't be run.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Ls(Ls),
    /// Shows who holds a lock, since when and for how long still; exit code 1 if it is free.
    Show(Named),
    /// Takes a lock from its holder without overlap: fences it now, forbids its renewal, lets its lease run out.
    Revoke(Named),
    Unlock(Unlock),
    Purge(Purge),
    Watch(Watch),
    Schema(Schema),
    Doctor(Doctor),
    Verify(Verify),
    Completions(Completions),
    /// Prints the manual page: `golock man | man -l -`.
    Man,
    #[command(hide = true)]
    Watchdog(Watchdog),
    #[command(hide = true)]
    Gate(Gate),
}

/// Runs a command while a lock is held.
///
/// The command runs in a process group of its own, and finds GOLOCK_NAME and GOLOCK_TOKEN, the fencing token, in its
/// environment. Signals are passed on to it. The lease is renewed for as long as it runs. If that can't be done the group
/// gets SIGTERM, and SIGKILL before the lease ends, also if golock itself was killed or stopped.
#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct Run {
    /// The lock: 1 to 255 bytes
    pub(crate) name: String,

    /// Keep the lock taken at least this long, even if the command ends sooner: more than the clocks of the machines differ
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    pub(crate) at_least: Duration,

    /// The lease, renewed while the command runs: the lock frees itself this long after the last renewal, should this machine
    /// die [default: 30s, or --at-least if that is more]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) at_most: Option<Duration>,

    /// Wait for the lock, so long or `forever`, if another holds it
    #[arg(long, value_name = "TIME", value_parser = wait)]
    pub(crate) wait: Option<Wait>,

    /// Between SIGTERM and SIGKILL, when the lease can't be renewed: at most half of --at-most [default: 5s, or a third of
    /// --at-most if that is less]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    grace: Option<Duration>,

    /// Who holds the lock, for people [default: host name and process id]
    #[arg(long, value_name = "LABEL")]
    pub(crate) lock_by: Option<String>,

    /// The exit code when another holds the lock
    #[arg(long, value_name = "CODE", default_value_t = BUSY)]
    pub(crate) busy_code: u8,

    /// Say nothing if another holds the lock: the exit code tells
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// What to run
    #[arg(last = true, required = true, num_args = 1.., value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

const RUN_EXAMPLES: &str = "\
Examples:
  golock run nightly --at-least 30s -- ./report.sh --all
  golock run deploy --wait 10m --lock-by \"$USER\" -- make deploy
  golock run sync --at-most 10s --grace 2s -- rsync -a src/ dst/
  golock run nightly --quiet --busy-code 0 --at-least 30s -- ./report.sh    from cron, on several machines
  golock run nightly -- timeout 1h ./report.sh                              at most an hour
  golock run import -- sh -c 'load --fence \"$GOLOCK_TOKEN\" data.csv'

What escapes: a process that calls setsid (it leaves the group), and everything if golock and its watchdog are both
killed. Pass GOLOCK_TOKEN to a resource that refuses older ones where that must not matter.";

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Forever,
    UpTo(Duration),
}

impl Run {
    const DEFAULT_LEASE: Duration = Duration::from_secs(30);
    const DEFAULT_GRACE: Duration = Duration::from_secs(5);

    pub(crate) fn lease(&self) -> Duration {
        self.at_most.unwrap_or_else(|| Self::DEFAULT_LEASE.max(self.at_least))
    }

    pub(crate) fn grace(&self) -> Duration {
        self.grace.unwrap_or_else(|| Self::DEFAULT_GRACE.min(self.lease() / 3))
    }

    /// # Errors
    /// Options that no lock can have, and a grace that would begin before the lease is to be renewed.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let (grace, lease) = (self.grace(), self.lease());
        if grace > lease / 2 {
            return Err(Failure::usage(format!(
                "--grace ({grace:?}) must be at most half of --at-most ({lease:?}), which is renewed at a third"
            )));
        }
        Ok(self.options(Duration::ZERO).validate()?)
    }

    /// Whether some of the wait is left after `waited`.
    pub(crate) fn still_waits(&self, waited: Duration) -> bool {
        match self.wait {
            Some(Wait::UpTo(wait)) => waited < wait,
            Some(Wait::Forever) => true,
            None => false,
        }
    }

    /// To lock with, when `waited` of the wait is over.
    pub(crate) fn options(&self, waited: Duration) -> LockOptions {
        let mut options = LockOptions::new(&*self.name)
            .lock_at_least(self.at_least)
            .lock_at_most(self.lease())
            .auto_renew(true);
        if let Some(label) = &self.lock_by {
            options = options.lock_by(&**label);
        }
        match self.wait {
            Some(Wait::UpTo(wait)) => options.wait(wait.saturating_sub(waited)),
            Some(Wait::Forever) | None => options,
        }
    }
}

/// Lists the locks that are held.
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// Only names that begin with this
    pub(crate) prefix: Option<String>,
    /// An array, times in milliseconds
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The lock
    pub(crate) name: String,
    /// An object, times in milliseconds
    #[arg(long)]
    pub(crate) json: bool,
}

/// Frees a lock at once, whoever holds it.
///
/// Its holder may still be at work: it finds out at its next renewal. Its token is fenced at once, so a resource that is
/// told the new one refuses it from then on. `revoke` is the way without overlap. Asks before; where there is no terminal to ask at,
/// `--yes` is needed.
#[derive(Args, Debug)]
pub(crate) struct Unlock {
    /// The lock
    pub(crate) name: String,
    /// Yes, from its holder
    #[arg(long, required = true)]
    force: bool,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// An object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Deletes what is known of names that have been free for so long. Tokens keep growing all the same.
#[derive(Args, Debug)]
pub(crate) struct Purge {
    /// For how long: 30d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) older_than: Duration,
    /// An object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows the locks that are held as a live table, until it is interrupted.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// Only names that begin with this
    pub(crate) prefix: Option<String>,
    /// Between two looks
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    pub(crate) interval: Duration,
    /// End after so many looks
    #[arg(long, value_name = "LOOKS")]
    pub(crate) count: Option<u64>,
    /// An array a look, each in a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints what a database administrator runs to prepare the store: tables and privileges.
///
/// It opens and creates nothing.
#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// An object with the text in it
    #[arg(long)]
    pub(crate) json: bool,
}

/// Checks the server for what bites in production, and says what to do about it; exit code 1 if locks are not safe on it.
///
/// It creates no table: if there is none it says so. Else it locks and unlocks golock-doctor, and changes nothing else.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// An array of findings
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the conformance suite against this server, and says promise by promise what holds; exit code 1 if one does not.
///
/// It works in tables (collections, key prefixes) of its own, golock_verify_…, whatever --table says, and drops them at the
/// end. It loads the server for about a minute. What it can't do to a server that is yours, such as killing it, it says not
/// to have checked.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Only the checks that take no time
    #[arg(long)]
    pub(crate) quick: bool,
    /// An object: promises, checks, and how each ended
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints completions for a shell: `source <(golock completions bash)`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

/// Runs a command and ends it when golock says so, or says nothing any more.
#[derive(Args, Debug)]
pub(crate) struct Watchdog {
    #[arg(long, value_parser = duration)]
    pub(crate) grace: Duration,
    #[arg(last = true, required = true, num_args = 1..)]
    pub(crate) command: Vec<OsString>,
}

/// Becomes a command when it is told to.
#[derive(Args, Debug)]
pub(crate) struct Gate {
    #[arg(last = true, required = true, num_args = 1..)]
    pub(crate) command: Vec<OsString>,
}

/// What clap says of a wrong command line, in one line; help and versions go to standard output.
pub(crate) fn wrong(error: clap::Error) -> Result<u8, Failure> {
    if !error.use_stderr() {
        error.print()?;
        return Ok(0);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.print()?;
        return Ok(USAGE);
    }
    let said = error.to_string();
    let (what, _) = said.split_once("\n\n").unwrap_or((&said, ""));
    // What stands in the wrong place is repeated: it may be a URL with its password.
    let what = if what.contains("://") { "a URL is in the wrong place: --store URL" } else { what };
    Err(Failure::usage(format!("{} (see golock --help)", what.trim_start_matches("error: "))))
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

fn wait(text: &str) -> Result<Wait, humantime::DurationError> {
    match text {
        "forever" => Ok(Wait::Forever),
        text => duration(text).map(Wait::UpTo),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_can_be() {
        Arguments::command().debug_assert();
    }
}
