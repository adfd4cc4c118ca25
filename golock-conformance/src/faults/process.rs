//! What a process does that was started to hold locks and to be killed or stopped: it obeys, line by line.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use golock_core::{Lock, LockOptions, Locker};
use tokio::runtime::Runtime;
use tokio::time;

use super::holder::{HOLDER, words};
use crate::context::chain;
use crate::fixture::BoxError;
use crate::target::Target;

/// Whether this process was started to hold locks; then it has done so, and its program ends.
pub(super) fn obey(targets: Vec<Target>) -> Result<Vec<Target>, ExitCode> {
    let Ok(order) = std::env::var(HOLDER) else { return Ok(targets) };
    let obeyed = match Runtime::new() {
        Ok(runtime) => runtime.block_on(hold(&order, targets)),
        Err(error) => Err(error.into()),
    };
    Err(match obeyed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever started it may have gone, too.
            let _ = say(&format!("{} {}", words::FAILED, chain(&*error).replace('\n', " ")));
            ExitCode::FAILURE
        }
    })
}

async fn hold(order: &str, targets: Vec<Target>) -> Result<(), BoxError> {
    let (server, space) = order.split_once(' ').ok_or("no order")?;
    let target = targets.into_iter().find(|target| target.id() == server).ok_or("no such target")?;
    let opened = target.open().await.map_err(|why| format!("{why:?}"))?;
    let locker = Locker::new(opened.fixture().store(space).await?);
    let mut lock = None;
    // The lines of one who waits for each answer: nothing is lost by waiting for them in between.
    for line in std::io::stdin().lock().lines() {
        obey_line(&line?, &locker, &mut lock).await?;
    }
    Ok(())
}

async fn obey_line(line: &str, locker: &Locker, lock: &mut Option<Lock>) -> Result<(), BoxError> {
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(words::LOCK), Some(ms), Some(name)) => {
            let lease = Duration::from_millis(ms.parse()?);
            let options = LockOptions::new(name).lock_by("holder").lock_at_most(lease).auto_renew(true);
            *lock = locker.lock(options.wait(lease * 4)).await.ok();
            match lock {
                Some(lock) => say(&format!("{} {}", words::GRANTED, lock.token())),
                None => say(words::REFUSED),
            }
        }
        (Some(words::WRITE), ..) => match held(lock) {
            Some(lock) => say(&format!("{} {}", words::WRITE, lock.token())),
            None => say(words::LOST),
        },
        (Some(words::CHECK), ..) => match held(lock) {
            Some(lock) => {
                say(words::CHECKED)?;
                // Long enough to be stopped in.
                time::sleep(Duration::from_millis(200)).await;
                say(&format!("{} {}", words::WRITE, lock.token()))
            }
            None => say(words::LOST),
        },
        (Some(words::CLOCK), ..) => say(&format!("{} {}", words::CLOCK, seconds_since_1970())),
        _ => Err(format!("not understood: {line:?}").into()),
    }
}

fn held(lock: &Option<Lock>) -> Option<&Lock> {
    lock.as_ref().filter(|lock| lock.is_held())
}

#[allow(clippy::disallowed_methods, reason = "to show that this process has a clock that was set")]
fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn say(line: &str) -> Result<(), BoxError> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
