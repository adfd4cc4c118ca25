//! A case: a named property, what it needs, and the function that checks it.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::context::Context;
use crate::effort;
use crate::fixture::Abilities;

/// One named property.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case {
    /// Its name, a claim: `second_locker_is_refused`.
    pub name: &'static str,
    /// What it is about: `granting`.
    pub group: &'static str,
    proves: &'static str,
    /// The properties of the catalogue that it is part of: `S1`.
    pub properties: &'static str,
    /// What it needs besides a store.
    pub needs: &'static [Need],
    pub(crate) run: for<'a> fn(&'a Context<'a>) -> BoxFuture<'a, ()>,
}

impl Case {
    /// What it proves, in words.
    pub fn proves(&self) -> &'static str {
        self.proves.trim()
    }

    /// It needs the server for itself, for it harms every client.
    pub fn is_alone(&self) -> bool {
        self.needs.iter().any(|need| matches!(need, Need::Restart | Need::Connections | Need::Alone))
    }

    /// It runs for minutes, and only if asked to.
    pub fn is_long(&self) -> bool {
        self.needs.contains(&Need::LongRun)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

/// What a case needs besides a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// [`Abilities::damage`].
    Damage,
    /// [`Abilities::row_lock`].
    RowLock,
    /// [`Abilities::restart`].
    Restart,
    /// [`Abilities::connections`].
    Connections,
    /// [`Abilities::through`].
    Through,
    /// [`Abilities::small_pool`].
    SmallPool,
    /// [`Abilities::sessions`].
    Sessions,
    /// [`Abilities::wrong_password`].
    WrongPassword,
    /// [`Abilities::schema_missing`].
    SchemaMissing,
    /// [`Abilities::no_permission`].
    NoPermission,
    /// [`Abilities::tls_refused`].
    TlsRefused,
    /// [`Abilities::purge_counts`].
    PurgeCounts,
    /// A store that wakes waiters.
    Push,
    /// A store that takes more than one request in a call.
    Batches,
    /// A store that hands over in one round trip.
    HandOver,
    /// No other case at the same time.
    Alone,
    /// Minutes: `GOLOCK_LONG=1`.
    LongRun,
}

impl Need {
    /// Why the need is not met by a fixture of these abilities. [`Push`](Self::Push),
    /// [`Batches`](Self::Batches) and [`HandOver`](Self::HandOver) are the store's to say.
    pub(crate) fn unmet_by(self, abilities: &Abilities<'_>) -> Option<String> {
        let lacking = match self {
            Self::Damage => abilities.damage.as_ref().err(),
            Self::RowLock => abilities.row_lock.as_ref().err(),
            Self::Restart => abilities.restart.as_ref().err(),
            Self::Connections => abilities.connections.as_ref().err(),
            Self::Through => abilities.through.as_ref().err(),
            Self::SmallPool => abilities.small_pool.as_ref().err(),
            Self::Sessions => abilities.sessions.as_ref().err(),
            Self::WrongPassword => abilities.wrong_password.as_ref().err(),
            Self::SchemaMissing => abilities.schema_missing.as_ref().err(),
            Self::NoPermission => abilities.no_permission.as_ref().err(),
            Self::TlsRefused => abilities.tls_refused.as_ref().err(),
            Self::PurgeCounts => abilities.purge_counts.as_ref().err(),
            Self::LongRun if !effort::long_runs() => Some(&"it runs for minutes: set GOLOCK_LONG=1"),
            Self::Push | Self::Batches | Self::HandOver | Self::Alone | Self::LongRun => None,
        };
        lacking.map(|reason| format!("needs {self:?}: {reason}"))
    }
}

/// Every case, in the order of the catalogue.
pub fn cases() -> &'static [Case] {
    CASES
}

macro_rules! table {
    ({} $($group:ident {
        $($(#[doc = $line:literal])+ $name:ident: $properties:literal, [$($need:ident),*];)+
    })+) => {
        static CASES: &[Case] = &[$($(
            Case {
                name: stringify!($name),
                group: stringify!($group),
                proves: concat!($($line),+),
                properties: $properties,
                needs: &[$(Need::$need),*],
                run: |context| Box::pin(crate::cases::$group::$name(context)),
            },
        )+)+];
    };
}
crate::__catalogue! { { table } }
