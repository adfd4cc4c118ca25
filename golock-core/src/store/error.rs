//! How a store fails.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A store could not do what it was asked: which backend, which operation, what kind of failure, and the
/// driver's own error as its source.
///
/// Contention is never a `StoreError`. Neither the message nor any source contains a password. Cloning is cheap:
/// one failed call may concern many locks.
#[derive(Clone, Debug)]
pub struct StoreError {
    backend: &'static str,
    operation: Operation,
    kind: StoreErrorKind,
    /// Another part of the call had taken effect.
    of_a_part: bool,
    source: Arc<dyn StdError + Send + Sync>,
}

impl StoreError {
    /// A failure of `operation` on `backend`.
    pub fn new(
        backend: &'static str,
        operation: Operation,
        kind: StoreErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { backend, operation, kind, of_a_part: false, source: Arc::from(source.into()) }
    }

    /// The backend: `"postgres"`.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// What it was doing.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }

    /// The call surely changed nothing, and nothing of it still runs on the server: its kind says so, or that there was no connection
    /// to send it over.
    pub fn took_no_effect(&self) -> bool {
        !self.of_a_part && (self.kind.took_no_effect() || self.operation == Operation::Connect)
    }

    /// What a call fails with as a whole, if this is what a part of it failed with after another part had taken effect.
    #[must_use]
    pub fn of_a_part(self) -> Self {
        Self { kind: self.kind.of_a_part(), of_a_part: true, ..self }
    }

    /// As [`of_a_part`](Self::of_a_part), if a part is `done`.
    #[must_use]
    pub fn of_a_part_if(self, done: bool) -> Self {
        if done { self.of_a_part() } else { self }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} failed: {}", self.backend, self.operation, self.kind)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// What a store was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening or preparing a connection: of the call that needed it nothing was sent.
    Connect,
    /// Creating the schema.
    CreateSchema,
    /// Acquiring locks.
    Acquire,
    /// Renewing leases.
    Renew,
    /// Releasing locks.
    Release,
    /// Releasing a lock and acquiring it for the next.
    HandOver,
    /// Marking names that are waited for.
    MarkWaiting,
    /// Inspecting a lock.
    Inspect,
    /// Listing locks.
    List,
    /// Revoking a lock.
    Revoke,
    /// Forcing a lock open.
    ForceUnlock,
    /// Purging old names.
    Purge,
}

impl Operation {
    /// The operation in words, as messages and metrics have it: `"acquire"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::CreateSchema => "create schema",
            Self::Acquire => "acquire",
            Self::Renew => "renew",
            Self::Release => "release",
            Self::HandOver => "hand over",
            Self::MarkWaiting => "mark waiting",
            Self::Inspect => "inspect",
            Self::List => "list",
            Self::Revoke => "revoke",
            Self::ForceUnlock => "force unlock",
            Self::Purge => "purge",
        }
    }

    /// It takes the next fencing token, or may have to: of all numbers in such a statement, only the token can be too large.
    pub fn takes_a_token(self) -> bool {
        matches!(self, Self::Acquire | Self::Release | Self::HandOver | Self::Revoke | Self::ForceUnlock)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The server could not be reached, or the connection broke. Transient.
    Connection,
    /// No answer in time. Transient.
    Timeout,
    /// The server gave the statement up, with no effect, for another's sake: a deadlock, a serialisation
    /// failure, a lock that was not had in time; or no node of a Redis Cluster has the name's slot for now. Transient.
    Conflict,
    /// The server refuses work for now: it starts, stops, fails over or is out of connections. Transient.
    Unavailable,
    /// The server does not accept the user or the password.
    Authentication,
    /// The user may not do this.
    Permission,
    /// The table (schema, collection, script …) is not there, or not as expected.
    SchemaMissing,
    /// A secure connection could not be agreed on.
    Tls,
    /// The server or the session is read-only.
    ReadOnly,
    /// A setting of the server, the session or the client makes locks unsafe or impossible; the source names it.
    Configuration,
    /// The next fencing token would exceed what the store can keep.
    TokenExhausted,
    /// Anything else.
    Other,
}

impl StoreErrorKind {
    /// The same call may succeed later without anybody changing anything.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Connection | Self::Timeout | Self::Conflict | Self::Unavailable)
    }

    /// The call surely changed nothing, and nothing of it still runs on the server.
    pub fn took_no_effect(self) -> bool {
        !matches!(self, Self::Connection | Self::Timeout | Self::Other)
    }

    /// The kind that a call has failed with as a whole, if this is what a part of it failed with after another part had taken effect.
    pub fn of_a_part(self) -> Self {
        match self {
            kind if !kind.took_no_effect() => kind,
            kind if kind.is_transient() => Self::Timeout,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "no connection",
            Self::Timeout => "no answer in time",
            Self::Conflict => "the server gave way to another statement",
            Self::Unavailable => "the server is not available for now",
            Self::Authentication => "user or password not accepted",
            Self::Permission => "permission denied",
            Self::SchemaMissing => "the schema is missing or not as expected",
            Self::Tls => "no secure connection",
            Self::ReadOnly => "the server or session is read-only",
            Self::Configuration => "a setting stands in the way",
            Self::TokenExhausted => "fencing tokens are exhausted",
            Self::Other => "unexpected error",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, StoreError, StoreErrorKind as Kind};

    #[test]
    fn what_was_never_sent_took_no_effect() {
        let failed = |operation| StoreError::new("test", operation, Kind::Connection, "why");
        assert!(!failed(Operation::Acquire).took_no_effect());
        assert!(failed(Operation::Connect).took_no_effect());
        assert!(!failed(Operation::Connect).of_a_part().took_no_effect(), "another part was");
    }

    #[test]
    fn failure_of_a_part_never_says_that_nothing_happened() {
        for (part, whole) in [
            (Kind::Conflict, Kind::Timeout),
            (Kind::Unavailable, Kind::Timeout),
            (Kind::Permission, Kind::Other),
            (Kind::TokenExhausted, Kind::Other),
            (Kind::Connection, Kind::Connection),
            (Kind::Timeout, Kind::Timeout),
            (Kind::Other, Kind::Other),
        ] {
            assert_eq!(part.of_a_part(), whole, "{part:?}");
            assert!(!whole.took_no_effect());
        }
    }

    #[test]
    fn operations_that_grant_or_fence_take_a_token() {
        let taking: Vec<&str> = [
            Operation::Connect,
            Operation::CreateSchema,
            Operation::Acquire,
            Operation::Renew,
            Operation::Release,
            Operation::HandOver,
            Operation::MarkWaiting,
            Operation::Inspect,
            Operation::List,
            Operation::Revoke,
            Operation::ForceUnlock,
            Operation::Purge,
        ]
        .into_iter()
        .filter(|operation| operation.takes_a_token())
        .map(Operation::as_str)
        .collect();
        assert_eq!(taking, ["acquire", "release", "hand over", "revoke", "force unlock"]);
    }
}
