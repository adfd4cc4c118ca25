//! Jobs that contend for one lock, and the register that they write to: what a guard makes of it that compares tokens.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::fs;
use std::path::PathBuf;

use crate::golock::{Place, Running, until, until_gone};

/// A file that every process of every job appends to, as long as it lives: its token, its number, its parent's.
pub(crate) struct Register {
    file: PathBuf,
}

/// One that holds the lock, or held it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub(crate) token: i64,
    /// The command itself.
    pub(crate) child: i32,
    pub(crate) watchdog: i32,
    pub(crate) golock: i32,
}

/// A command with a grandchild; neither heeds SIGTERM, both write as fast as they can.
const SCRIPT: &str = r#"
trap '' TERM HUP
sh -c 'while :; do echo "$GOLOCK_TOKEN $$ grandchild" >>"$0"; sleep 0.01; done' "$REGISTER" &
while :; do echo "$GOLOCK_TOKEN $$ $PPID" >>"$REGISTER"; sleep 0.01; done
"#;

impl Register {
    pub(crate) fn new(place: &Place) -> Self {
        let file = place.file("register");
        fs::write(&file, "").unwrap();
        Self { file }
    }

    /// A job that waits for the lock, and then works until it is ended.
    pub(crate) fn contender(&self, place: &Place) -> Running {
        let options = "run harmed --wait forever --at-most 4s --grace 500ms";
        // So the file is named in the command line of each process.
        let script = format!("REGISTER={}; export REGISTER\n{SCRIPT}", self.file.display());
        place.start_aloud(place.golock_sh(options, &script))
    }

    /// Waits for a holder with a larger token, whose grandchild works too.
    pub(crate) fn next_holder(&self, after: i64) -> Holder {
        let mut found = None;
        until("another works under the lock", || {
            let writes = self.writes();
            let has_grandchild = |token| writes.iter().any(|write| write.0 == token && write.2.is_none());
            let of_children =
                writes.iter().rev().filter_map(|&(token, child, parent)| Some((token, child, parent?)));
            let mut holders = of_children.filter(|&(token, ..)| token > after && has_grandchild(token));
            // One whose watchdog has just ended is none.
            found = holders.next().map(|(token, child, watchdog)| Holder {
                token,
                child,
                watchdog,
                golock: parent(watchdog),
            });
            found.is_some_and(|holder| holder.golock > 1)
        });
        found.unwrap()
    }

    /// Waits until nothing is left of a job.
    pub(crate) fn until_all_gone(&self, holder: Holder) {
        for (token, pid, _) in self.writes() {
            if token == holder.token {
                until_gone(pid, "register");
            }
        }
    }

    /// How many writes a guard refuses that has seen a larger token before: those of two jobs that overlapped.
    pub(crate) fn refused(&self) -> usize {
        let mut newest = 0;
        let mut late = |(token, ..): &(i64, i32, Option<i32>)| {
            newest = newest.max(*token);
            *token < newest
        };
        self.writes().iter().filter(|write| late(write)).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.writes().len()
    }

    /// In the order in which they were appended.
    fn writes(&self) -> Vec<(i64, i32, Option<i32>)> {
        let text = fs::read_to_string(&self.file).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let write = |line: &str| {
            let mut words = line.split(' ');
            let mut number = || words.next().and_then(|word| word.parse::<i64>().ok());
            let pid = |number: i64| i32::try_from(number).unwrap();
            (number().unwrap(), pid(number().unwrap()), number().map(pid))
        };
        whole.lines().map(write).collect()
    }
}

fn parent(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent.and_then(|parent| parent.trim().parse().ok()).unwrap_or(0)
}
