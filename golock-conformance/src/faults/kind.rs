//! The kinds of faults, and what each needs.

use std::fmt;

use crate::clock;
use crate::fixture::{Abilities, Ability};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One locker's network is slow, both ways.
    Delay,
    /// A request is lost, and its connection reset: nothing was executed.
    LostRequest,
    /// An answer is lost, and its connection reset: executed, but nobody was told.
    LostAnswer,
    /// A connection is reset in the middle of an answer.
    CutAnswer,
    /// One locker's connections are reset.
    Reset,
    /// One locker's network swallows everything.
    Blackhole,
    /// One locker's requests, or the answers to them, stay where they are for a while.
    Hold,
    /// The server is killed by SIGKILL, and started again.
    KilledServer,
    /// The server is stopped, and goes on.
    PausedServer,
    /// The server ends everybody's connections.
    KilledConnections,
    /// Somebody's transaction keeps the row of a name locked.
    LockedRow,
    /// A process that holds a lock is killed by SIGKILL.
    KilledHolder,
    /// A process that holds a lock is stopped by SIGSTOP before it writes, and continued when another has written.
    StoppedHolder,
    /// The server's clock is set an hour on; or back, and on again. Each ends by a step forward: one back would keep names for an hour.
    ServerClock,
    /// The clock of a process that holds a lock is set an hour on, back, and on again.
    HolderClock,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Delay,
        Self::LostRequest,
        Self::LostAnswer,
        Self::CutAnswer,
        Self::Reset,
        Self::Blackhole,
        Self::Hold,
        Self::KilledServer,
        Self::PausedServer,
        Self::KilledConnections,
        Self::LockedRow,
        Self::KilledHolder,
        Self::StoppedHolder,
        Self::ServerClock,
        Self::HolderClock,
    ];

    /// Whether it is done by a process that holds a lock, or to one.
    pub(super) fn takes_a_process(self) -> bool {
        matches!(self, Self::KilledHolder | Self::StoppedHolder | Self::HolderClock)
    }

    /// Whether a fixture of these abilities can do it.
    ///
    /// # Errors
    /// Why not.
    pub fn possible(self, abilities: &Abilities<'_>) -> Ability<()> {
        match self {
            Self::Delay
            | Self::LostRequest
            | Self::LostAnswer
            | Self::CutAnswer
            | Self::Reset
            | Self::Blackhole
            | Self::Hold => abilities.through.as_ref().map(drop),
            Self::KilledServer => abilities.restart.as_ref().map(drop),
            Self::PausedServer => abilities.pause.as_ref().map(drop),
            Self::KilledConnections => abilities.connections.as_ref().map(drop),
            Self::LockedRow => abilities.row_lock.as_ref().map(drop),
            Self::KilledHolder => abilities.processes.as_ref().map(drop),
            Self::StoppedHolder if cfg!(unix) => abilities.processes.as_ref().map(drop),
            Self::StoppedHolder => return Err("only Unix stops a process by a signal"),
            Self::ServerClock => abilities.clock.as_ref().map(drop),
            Self::HolderClock => {
                abilities.own_clock?;
                clock::library()?;
                abilities.processes.as_ref().map(drop)
            }
        }
        .map_err(|reason| *reason)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Delay => "delayed network",
            Self::LostRequest => "lost request",
            Self::LostAnswer => "lost answer",
            Self::CutAnswer => "reset in the middle of an answer",
            Self::Reset => "reset connections",
            Self::Blackhole => "blackhole",
            Self::Hold => "requests or answers held back",
            Self::KilledServer => "server killed and restarted",
            Self::PausedServer => "server paused",
            Self::KilledConnections => "connections killed by the server",
            Self::LockedRow => "row locked by a transaction",
            Self::KilledHolder => "holder killed",
            Self::StoppedHolder => "holder stopped and continued",
            Self::ServerClock => "server's clock set by an hour",
            Self::HolderClock => "holder's clock set by an hour",
        })
    }
}
