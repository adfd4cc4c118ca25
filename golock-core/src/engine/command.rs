//! What locks and callers' futures ask of the keeper.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::lease::Lease;
use super::telemetry::Series;
use crate::options::Wanted;
use crate::{Error, Lock, LockName};

pub(crate) type Commands = mpsc::UnboundedSender<Command>;

/// Where the keeper answers. A dropped receiver means that nobody cares any more.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

pub(crate) enum Command {
    /// Get in line for a name. `caller` is unique within the locker.
    Lock { caller: u64, wanted: Wanted, series: Series, reply: Reply<Lock> },
    /// The caller's future was dropped.
    Leave { name: LockName, caller: u64 },
    /// Renew a lease to at least this long.
    Extend { lease: Arc<Lease>, to: Duration, reply: Reply<()> },
    /// Give a grant back, and keep the name for the rest of `at_least`; `reply` if somebody waits for it.
    Release { lease: Arc<Lease>, at_least: Duration, reply: Option<Reply<()>> },
    /// Drive an operator's call. It answers by itself.
    Run(BoxFuture<'static, ()>),
    /// End, once every lock has ended or the time is over; answers how many were left.
    Shutdown { timeout: Duration, reply: oneshot::Sender<usize> },
}

/// Sends a command, and waits for the keeper's answer; `None`: the keeper has ended, before or meanwhile.
///
/// Of the end a dropped sender would tell as well, but a command that is sent at the moment in which the keeper's runtime ends stays in
/// the channel, with the sender in it, for as long as a handle lives.
pub(crate) async fn ask<T>(
    commands: &Commands,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Option<T> {
    let (reply, mut answer) = oneshot::channel();
    commands.send(command(reply)).ok()?;
    tokio::select! {
        biased;
        answer = &mut answer => answer.ok(),
        // Nothing is answered after that, but something may have been just before.
        () = commands.closed() => answer.try_recv().ok(),
    }
}
