//! W3 between processes: this program starts itself several times, and each lot of tasks locks and unlocks the same name.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::contended::{contended, warm_up};
use super::{Bench, TASKS_A_PROCESS, Values, fresh_name};
use crate::contender::{BoxError, Entry, Place, Role};
use crate::databases;
use crate::say;

/// The first argument of a process that is started by this one.
pub(crate) const CHILD: &str = "--child";

pub(super) async fn run(bench: &mut Bench<'_>, workload: &str, processes: usize) {
    let subject = bench.subject(workload, TASKS_A_PROCESS);
    say(&format!("{} W3: {processes} processes, {TASKS_A_PROCESS} tasks each, one name", subject.backend));
    let entries = bench.entries(Role::waits);
    let (backend, url, span) = (subject.backend, bench.url, bench.effort.span * 2);
    let measure = async |entry: Entry| {
        let name = fresh_name("one");
        let mut children = Vec::new();
        for _ in 0..processes {
            children.push(Contestant::start(backend, entry.label, url, &name, span)?);
        }
        for child in &mut children {
            child.is_ready().await?;
        }
        for child in &mut children {
            child.go().await?;
        }
        let mut grants = Vec::new();
        for (process, child) in children.into_iter().enumerate() {
            grants.extend(child.grants().await?.into_iter().map(|at| (at, process)));
        }
        Ok(values(grants, processes, span))
    };
    bench.in_turns(subject, &entries, measure).await;
    bench.results.compare_with_best(subject, "handoffs_per_s");
    bench.results.compare_with_best(subject, "process_changes_per_s");
    // What the target names, where it is there: the prototype.
    bench.results.compare_with(subject, "process_changes_per_s", "push");
}

fn values(mut grants: Vec<(u64, usize)>, processes: usize, span: Duration) -> Values {
    grants.sort_unstable();
    let mut turns = vec![0_u32; processes];
    for (_, process) in &grants {
        turns[*process] += 1;
    }
    let changes = grants.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    let slowest = turns.iter().min().copied().unwrap_or_default();
    let fastest = turns.iter().max().copied().unwrap_or_default();
    vec![
        ("handoffs_per_s", grants.len() as f64 / span.as_secs_f64()),
        ("process_changes_per_s", changes as f64 / span.as_secs_f64()),
        ("slowest_to_fastest", f64::from(slowest) / f64::from(fastest)),
    ]
}

/// One of the processes, seen from the one that started it.
struct Contestant {
    /// Killed when this is dropped.
    _child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Contestant {
    fn start(
        backend: &str,
        contender: &str,
        url: &str,
        name: &str,
        span: Duration,
    ) -> Result<Self, BoxError> {
        let mut child = Command::new(env::current_exe()?)
            .args([CHILD, backend, contender, name, &span.as_millis().to_string()])
            // Not an argument: it has a password, and everybody sees those.
            .env(URL, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a child without pipes".into());
        };
        Ok(Self { _child: child, orders, answers: BufReader::new(answers) })
    }

    async fn is_ready(&mut self) -> Result<(), BoxError> {
        let mut line = String::new();
        self.answers.read_line(&mut line).await?;
        if line.trim() == READY { Ok(()) } else { Err("a process did not start".into()) }
    }

    async fn go(&mut self) -> Result<(), BoxError> {
        Ok(self.orders.write_all(GO.as_bytes()).await?)
    }

    /// When it had the lock.
    async fn grants(mut self) -> Result<Vec<u64>, BoxError> {
        let mut answer = String::new();
        self.answers.read_to_string(&mut answer).await?;
        serde_json::from_str(&answer).map_err(|_| "a process did not come to its end".into())
    }
}

/// What a started process does: it opens its contender, says so, waits for the start, and tells its grants.
pub(crate) async fn child(mut arguments: impl Iterator<Item = String>) -> Result<(), BoxError> {
    let mut next = || arguments.next().ok_or("an argument is missing");
    let (backend, contender, name, span) = (next()?, next()?, next()?, next()?.parse()?);
    let database = databases::find(&backend).ok_or("no such backend")?;
    let entry =
        database.contenders().iter().find(|entry| entry.label == contender).ok_or("no such contender")?;
    let contender = (entry.open)(Place::new(&env::var(URL)?, TASKS_A_PROCESS)).await?;
    warm_up(&*contender, TASKS_A_PROCESS).await?;

    let (mut orders, mut answers) = (BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    answers.write_all(format!("{READY}\n").as_bytes()).await?;
    answers.flush().await?;
    let mut line = String::new();
    orders.read_line(&mut line).await?;
    if line != GO {
        return Err("the start never came".into());
    }
    let grants = contended(&*contender, TASKS_A_PROCESS, &name, Duration::from_millis(span)).await?;
    let at: Vec<u64> = grants.into_iter().map(|grant| grant.at).collect();
    answers.write_all(&serde_json::to_vec(&at)?).await?;
    Ok(answers.flush().await?)
}

const URL: &str = "GOLOCK_BENCH_URL";
const READY: &str = "ready";
const GO: &str = "go\n";
