//! What those who took part have seen of each other, written down and checked as one history.
//!
//! A lock can't be judged by one holder: each of two that hold it at once sees nothing wrong. So everybody writes down what
//! it asked for, was told and believed, by the clock of this machine, and afterwards [`History::check`] looks, name by name,
//! for what can't have been:
//!
//! * a token that two grants have, or that is not larger than that of a grant received before this one was asked for;
//! * two holders that believed in one name at the same time;
//! * a fenced register that took an older write after a newer one, or refused a holder that still believed;
//! * a refusal at a time at which nobody can have held the name;
//! * a name that stayed taken for more than a lease and a second although nobody held it.
//!
//! Each is one sort and one pass, O(n log n) in all: a history of a hundred thousand entries is checked in well under a second.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use golock_conformance::history::{Grant, History, Violation};
//! use golock_core::{FencingToken, LockName};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (name, begun, ms) = (LockName::new("job")?, Instant::now(), Duration::from_millis);
//! let mut history = History::new(Duration::from_secs(2));
//! let mut first = Grant::new(name.clone(), FencingToken::new(1), begun, begun + ms(5));
//! first.believed = Some(begun + ms(900));
//! history.granted(first);
//! let mut second = Grant::new(name, FencingToken::new(2), begun, begun + ms(700));
//! second.believed = Some(begun + ms(800));
//! history.granted(second);
//!
//! let verdict = history.check();
//! assert!(matches!(verdict.violations[..], [Violation::Overlap { by, .. }] if by == ms(200)));
//! # Ok(())
//! # }
//! ```
//!
//! Times are taken so that an entry never claims more than was so: before a request is sent, after an answer has come, before
//! a belief is looked at. What is found did happen; what fell between two looks is not found.

mod check;
mod disturbances;
mod refusals;
mod steps;
mod stuck;
mod violation;

use std::time::{Duration, Instant};

use golock_core::{FencingToken, LockName};

pub use self::check::Verdict;
pub use self::violation::Violation;

/// What was seen of some names by all who took part.
#[derive(Clone, Debug)]
pub struct History {
    lease: Duration,
    rounding: Duration,
    grants: Vec<Grant>,
    refusals: Vec<Asked>,
    unknown: Vec<Asked>,
    writes: Vec<Write>,
    sightings: Vec<Sighting>,
    disturbances: Vec<(Instant, Instant)>,
    steps: Vec<(Instant, Instant)>,
}

/// One grant, as its holder saw it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Grant {
    /// What was granted.
    pub name: LockName,
    /// Its token.
    pub token: FencingToken,
    /// Before it was asked for.
    pub asked: Instant,
    /// When the holder had it.
    pub received: Instant,
    /// The last moment at which the holder is known to have believed in it, as it had since `received`: taken before the look
    /// that said so. `None`: it was over when the holder first looked.
    pub believed: Option<Instant>,
    /// How it ended, unless its holder has it still.
    pub end: Option<End>,
}

/// How a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was given back, and the store had confirmed that at this time.
    GivenBack(Instant),
    /// Nobody holds it since, but nobody was told that the store knows: it was dropped or lost, or its holder died. Its lease
    /// may keep the name taken.
    Left(Instant),
}

impl Grant {
    /// A grant that was received, and not yet looked at.
    pub fn new(name: LockName, token: FencingToken, asked: Instant, received: Instant) -> Self {
        Self { name, token, asked, received, believed: None, end: None }
    }
}

/// A call that was no grant, or not known to be one.
#[derive(Clone, Debug)]
struct Asked {
    name: LockName,
    asked: Instant,
    ended: Instant,
}

/// What came of one write to the fenced register.
#[derive(Clone, Debug)]
struct Write {
    name: LockName,
    token: FencingToken,
    taken: bool,
    believed: bool,
}

/// Somebody who takes no part saw that a name is held.
#[derive(Clone, Debug)]
struct Sighting {
    name: LockName,
    token: FencingToken,
    looked: Instant,
}

impl History {
    /// An empty history of names whose leases are at most this long, extensions included.
    pub fn new(lease: Duration) -> Self {
        Self {
            lease,
            rounding: Duration::ZERO,
            grants: Vec::new(),
            refusals: Vec::new(),
            unknown: Vec::new(),
            writes: Vec::new(),
            sightings: Vec::new(),
            disturbances: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Lets two beliefs overlap by this much. Zero, the default, is right for beliefs with a margin, as those of a
    /// [`Lock`](golock_core::Lock); a lease as the store reports it may have been rounded.
    #[must_use]
    pub fn rounding(mut self, rounding: Duration) -> Self {
        self.rounding = rounding;
        self
    }

    /// A grant; in no particular order.
    pub fn granted(&mut self, grant: Grant) {
        self.grants.push(grant);
    }

    /// A call was told that another holds the name.
    pub fn refused(&mut self, name: LockName, asked: Instant, answered: Instant) {
        self.refusals.push(Asked { name, asked, ended: answered });
    }

    /// A call ended without a word about the lock: given up, dropped, failed. It may have been granted for all that is known.
    pub fn gave_up(&mut self, name: LockName, asked: Instant, ended: Instant) {
        self.unknown.push(Asked { name, asked, ended });
    }

    /// A write came to the fenced register, which took or refused it; `believed`: afterwards its holder still believed that it
    /// holds the name. In the order of the register.
    pub fn wrote(&mut self, name: LockName, token: FencingToken, taken: bool, believed: bool) {
        self.writes.push(Write { name, token, taken, believed });
    }

    /// Somebody asked the store, past all faults between, and heard that the name is held under this token; `looked` is before
    /// it asked. In the order of time.
    pub fn sighted(&mut self, name: LockName, token: FencingToken, looked: Instant) {
        self.sightings.push(Sighting { name, token, looked });
    }

    /// A fault stood from one time to the other: names may be stuck until it is over, and for a lease and a second more.
    pub fn disturbed(&mut self, from: Instant, to: Instant) {
        self.disturbances.push((from, to));
    }

    /// The server's clock stepped between the two times, and was steady before and after. It is a [disturbance](Self::disturbed), and
    /// explains that some beliefs overlap: those of holders that asked for their grant before the second time, from the first on and
    /// for at most a lease after the second. It excuses no token that goes back and no older write that the register takes.
    pub fn clock_stepped(&mut self, from: Instant, to: Instant) {
        self.disturbed(from, to);
        self.steps.push((from, to));
    }

    /// How many grants it has.
    pub fn grants(&self) -> usize {
        self.grants.len()
    }

    /// How many writes came to the register, and how many of them it refused.
    pub fn writes(&self) -> (usize, usize) {
        (self.writes.len(), self.writes.iter().filter(|write| !write.taken).count())
    }

    /// How long a name may stay taken when nobody holds it.
    pub fn patience(&self) -> Duration {
        self.lease + GRACE
    }
}

/// What a name may stay taken for beyond a lease.
const GRACE: Duration = Duration::from_secs(1);
