//! The signals that golock passes on to the command.

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;

use crate::failure::Failure;

/// Catches them, for the rest of this process's life.
pub(super) struct Signals(mpsc::UnboundedReceiver<Signal>);

const PASSED_ON: [Signal; 7] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2, Signal::WINCH];

/// The signals that whoever started this process has it ignore: `nohup`, or a shell that runs it in the background. Whatever it
/// starts ignores them as well, as long as nobody catches them in between.
pub(super) struct Ignored(u64);

impl Ignored {
    /// Those of this process, before it catches any. (Elsewhere than on Linux nobody says: none.)
    pub(super) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status
            .lines()
            .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
        Self(mask.unwrap_or(0))
    }

    pub(super) fn has(&self, signal: i32) -> bool {
        self.0 & 1 << (signal - 1) != 0
    }
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let (send, received) = mpsc::unbounded_channel();
        let ignored = Ignored::now();
        for signal in PASSED_ON.into_iter().filter(|signal| !ignored.has(signal.as_raw())) {
            let mut caught = unix::signal(SignalKind::from_raw(signal.as_raw()))
                .map_err(|error| Failure::internal(format!("signals can't be caught: {error}")))?;
            let send = send.clone();
            tokio::spawn(async move { while caught.recv().await.is_some() && send.send(signal).is_ok() {} });
        }
        Ok(Self(received))
    }

    /// The next one that is for golock itself, while there is no command: not that the window has changed its size.
    pub(super) async fn next_that_ends(&mut self) -> Signal {
        loop {
            match self.next().await {
                Signal::WINCH => {}
                signal => return signal,
            }
        }
    }

    /// The next one. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}
