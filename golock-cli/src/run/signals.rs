//! The signals that golock passes on to the command.

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;

use crate::failure::Failure;

/// Catches them, for the rest of this process's life.
pub(super) struct Signals(mpsc::UnboundedReceiver<Signal>);

const PASSED_ON: [Signal; 7] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2, Signal::WINCH];

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let (send, received) = mpsc::unbounded_channel();
        for signal in PASSED_ON {
            let mut caught = unix::signal(SignalKind::from_raw(signal.as_raw()))
                .map_err(|error| Failure::internal(format!("signals can't be caught: {error}")))?;
            let send = send.clone();
            tokio::spawn(async move { while caught.recv().await.is_some() && send.send(signal).is_ok() {} });
        }
        Ok(Self(received))
    }

    /// The next one. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}
