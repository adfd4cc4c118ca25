//! What becomes of one call of a store.

use std::time::Duration;

use golock_core::StoreErrorKind;
use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    /// When the server does it, whether or not anybody still waits for the answer. `None`: the request is lost.
    pub(super) arrives: Option<Duration>,
    /// How long after it was sent it is answered, at the earliest. `None`: never.
    pub(super) answers: Option<Duration>,
    pub(super) says: Says,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    Truth,
    Error(StoreErrorKind),
    Unreached,
    Panic,
    TooFew,
    TooMany,
}

impl Fate {
    /// Done and answered at once.
    pub(crate) const FINE: Self =
        Self { arrives: Some(Duration::ZERO), answers: Some(Duration::ZERO), says: Says::Truth };
    /// The request is lost, and nobody ever says so.
    pub(crate) const HANG: Self = Self { arrives: None, answers: None, ..Self::FINE };
    /// Done at once, but nobody ever says so.
    pub(crate) const LOST_REPLY: Self = Self { answers: None, ..Self::FINE };
    /// The connection breaks before the server has done anything.
    pub(crate) const BROKEN: Self = Self { arrives: None, ..Self::error(StoreErrorKind::Connection) };
    /// There is no connection that it could be sent over.
    pub(crate) const UNREACHED: Self = Self { arrives: None, says: Says::Unreached, ..Self::FINE };
    /// The connection breaks after the server has done it.
    pub(crate) const BROKEN_AFTER: Self = Self::error(StoreErrorKind::Connection);
    pub(crate) const PANIC: Self = Self { says: Says::Panic, ..Self::FINE };
    pub(crate) const TOO_FEW: Self = Self { says: Says::TooFew, ..Self::FINE };
    pub(crate) const TOO_MANY: Self = Self { says: Says::TooMany, ..Self::FINE };

    /// Done, but answered at once with this error.
    pub(crate) const fn error(kind: StoreErrorKind) -> Self {
        Self { says: Says::Error(kind), ..Self::FINE }
    }

    /// Refused at once with this error, and not done.
    pub(crate) const fn refused(kind: StoreErrorKind) -> Self {
        Self { arrives: None, ..Self::error(kind) }
    }

    /// A round trip of this long, done in the middle of it.
    pub(crate) const fn slow(round_trip: Duration) -> Self {
        let (half, whole) = (Duration::from_nanos(round_trip.as_nanos() as u64 / 2), round_trip);
        Self { arrives: Some(half), answers: Some(whole), says: Says::Truth }
    }

    /// Done this long after it was sent.
    pub(crate) const fn arriving(self, after: Duration) -> Self {
        Self { arrives: Some(after), ..self }
    }

    /// Answered this long after it was sent.
    pub(crate) const fn answering(self, after: Duration) -> Self {
        Self { answers: Some(after), ..self }
    }

    /// Done and answered this much later.
    pub(crate) fn later_by(self, pause: Duration) -> Self {
        let later = |after: Option<Duration>| after.map(|after| after + pause);
        Self { arrives: later(self.arrives), answers: later(self.answers), ..self }
    }

    /// Mostly well, in up to 40 ms; else anything that may happen to a call, the server doing it late included.
    pub(crate) fn by_chance(rng: &mut impl Rng) -> Self {
        let after = |rng: &mut dyn Rng, most: u64| Duration::from_micros(rng.random_range(0..most * 1000));
        let errors = [StoreErrorKind::Connection, StoreErrorKind::Conflict, StoreErrorKind::Unavailable];
        match rng.random_range(0..20) {
            0 => Self::HANG,
            1 => Self::LOST_REPLY.arriving(after(rng, 3_000)),
            2 => Self::BROKEN.answering(after(rng, 1_000)),
            3 => Self::BROKEN_AFTER.arriving(after(rng, 4_000)).answering(after(rng, 100)),
            4 => Self::refused(errors[rng.random_range(0..errors.len())]),
            5 => Self::FINE.arriving(after(rng, 2_000)).answering(after(rng, 4_000)),
            _ => Self::slow(after(rng, 40)),
        }
    }

    pub(crate) fn rng(seed: u64) -> ChaCha12Rng {
        use rand::SeedableRng;
        ChaCha12Rng::seed_from_u64(seed)
    }
}
