//! From what the driver and the server say to the kinds of failure that golock knows.

use std::error::Error as StdError;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mongodb::bson::{Bson, Document};
use mongodb::error::{Error as DriverError, ErrorKind};

/// How errors, logs and metrics name this backend.
pub(crate) const BACKEND: &str = "mongo";

/// A failure that this crate names itself.
pub(crate) fn failure(
    operation: Operation,
    kind: StoreErrorKind,
    why: impl Into<Box<dyn StdError + Send + Sync>>,
) -> StoreError {
    StoreError::new(BACKEND, operation, kind, why)
}

/// A command that the driver or the server failed.
pub(crate) fn call_failed(operation: Operation, error: CallError) -> StoreError {
    let kind = match error.kind {
        // So says a connection, too, that was well and whose answer was spoiled on its way.
        StoreErrorKind::Tls if operation != Operation::Connect && error.is_of_a_connection() => {
            StoreErrorKind::Connection
        }
        kind => kind,
    };
    failure(operation, kind, error.source)
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CallError {
    /// The server's code; 0 if it said nothing.
    code: i32,
    kind: StoreErrorKind,
    /// It is done, but not known to the majority.
    unacknowledged: bool,
    source: Box<dyn StdError + Send + Sync>,
}

impl CallError {
    /// What a reply that came says of failure: the command was executed, or a part of it.
    pub(crate) fn in_reply(reply: &Document) -> Option<Self> {
        if let Some(error) = reply.get_array("writeErrors").ok().and_then(|errors| errors.first()) {
            return Some(Self::said(error.as_document()?, server_kind));
        }
        // It is done on the primary, but nobody knows whether a majority has it, or ever will.
        let error = reply.get_document("writeConcernError").ok()?;
        let error = Self::said(error, |code, _| match code {
            // UnsatisfiableWriteConcern, UnknownReplWriteConcern, CannotSatisfyWriteConcern: not for now, either.
            79 | 100 => StoreErrorKind::Other,
            _ => StoreErrorKind::Timeout,
        });
        Some(Self { unacknowledged: true, ..error })
    }

    fn said(error: &Document, kind: impl Fn(i32, &str) -> StoreErrorKind) -> Self {
        let code = error.get_i32("code").unwrap_or(0);
        let message = error.get_str("errmsg").unwrap_or("no message");
        let source = format!("error {code}: {message}").into();
        Self { code, kind: kind(code, message), unacknowledged: false, source }
    }

    /// Somebody deleted it while it was at work.
    pub(crate) fn row_vanished() -> Self {
        let source = "the row was deleted just now".into();
        Self { code: 0, kind: StoreErrorKind::Conflict, unacknowledged: false, source }
    }

    /// One that was open, or about to be: the command may have been sent.
    fn is_of_a_connection(&self) -> bool {
        matches!(self.source.downcast_ref(), Some(ErrorKind::Io(_)))
    }

    /// Nothing came back, or not even a connection.
    pub(crate) fn is_connection(&self) -> bool {
        self.kind == StoreErrorKind::Connection
    }

    /// Another inserted or changed the row at the same time, and the server gave way: worth another try.
    pub(crate) fn is_race(&self) -> bool {
        self.kind == StoreErrorKind::Conflict
    }

    /// Of a command for many rows: one of them may have held it up, or been changed by somebody else at the same time.
    pub(crate) fn may_be_of_one_row(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Timeout | StoreErrorKind::Conflict) && !self.unacknowledged
    }

    /// AWS DocumentDB (66, ImmutableField) and Azure Cosmos DB (117, ConflictingOperationInProgress) on an upsert with a
    /// pipeline. MongoDB itself never answers so to ours.
    pub(crate) fn refuses_upsert(&self) -> bool {
        matches!(self.code, 66 | 117)
    }
}

impl From<DriverError> for CallError {
    fn from(error: DriverError) -> Self {
        let (code, kind) = match &*error.kind {
            ErrorKind::Command(said) => (said.code, server_kind(said.code, &said.message)),
            kind => (0, driver_kind(kind)),
        };
        // Without the driver's labels and the bytes of the server's reply, which `DriverError` would print as well.
        Self { code, kind, unacknowledged: false, source: error.kind }
    }
}

/// <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>
fn server_kind(code: i32, message: &str) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match code {
        // UserNotFound, AuthenticationFailed, MechanismUnavailable, AtlasError
        11 | 18 | 334 | 8000 => Kind::Authentication,
        // Unauthorized
        13 => Kind::Permission,
        // TypeMismatch, and its old codes: in a row that golock did not write. NamespaceNotFound.
        14 | 16554 | 16555 | 26 => Kind::SchemaMissing,
        // MaxTimeMSExpired, WriteConcernFailed, NetworkInterfaceExceededTimeLimit, ExceededTimeLimit
        50 | 64 | 202 | 262 => Kind::Timeout,
        // A unique index on `_id` that compares as the collection's collation does: two names are one to it.
        11000 if message.contains(" collation: ") => Kind::Configuration,
        // LockTimeout, LockBusy, WriteConflict, DuplicateKey
        24 | 46 | 112 | 11000 => Kind::Conflict,
        // NotYetInitialized, ReadConcernMajorityNotAvailableYet, TemporarilyUnavailable
        94 | 134 | 365 => Kind::Unavailable,
        // NotWritablePrimary, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary, and its old code: refused before anything
        // was done. IngressRequestRateLimitExceeded: as well.
        10107 | 13435 | 13436 | 10058 | 462 => Kind::Unavailable,
        // HostUnreachable, HostNotFound, NetworkTimeout, ShutdownInProgress, PrimarySteppedDown, SocketException,
        // InterruptedAtShutdown, Interrupted, InterruptedDueToReplStateChange: the server, or a mongos' shard, went away
        // while it was at work.
        6 | 7 | 89 | 91 | 189 | 9001 | 11600 | 11601 | 11602 => Kind::Connection,
        // UserWritesBlocked
        371 => Kind::ReadOnly,
        // InvalidNamespace, DocumentValidationFailure, InvalidPipelineOperator (a server before 5.0), CommandNotFound,
        // CommandNotSupportedOnView, APIStrictError
        59 | 73 | 121 | 166 | 168 | 323 => Kind::Configuration,
        _ => Kind::Other,
    }
}

fn driver_kind(kind: &ErrorKind) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match kind {
        ErrorKind::Authentication { .. } => Kind::Authentication,
        ErrorKind::InvalidTlsConfig { .. } => Kind::Tls,
        ErrorKind::Io(_) | ErrorKind::ServerSelection { .. } | ErrorKind::ConnectionPoolCleared { .. }
            if is_about_tls(&kind.to_string()) =>
        {
            Kind::Tls
        }
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. } => Kind::Connection,
        ErrorKind::InvalidArgument { .. }
        | ErrorKind::IncompatibleServer { .. }
        | ErrorKind::SessionsNotSupported => Kind::Configuration,
        _ => Kind::Other,
    }
}

/// The driver's monitor opens a server's first connection, and hands on the words of rustls only.
fn is_about_tls(said: &str) -> bool {
    ["tls handshake", "InvalidContentType", "invalid peer certificate", "received fatal alert"]
        .iter()
        .any(|words| said.contains(words))
}

/// A row that golock did not write.
pub(crate) fn not_ours(operation: Operation, field: &str, found: Option<&Bson>) -> StoreError {
    let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("{:?}", found.element_type()));
    let why = format!("a row that golock did not write: {field} is {found}");
    failure(operation, StoreErrorKind::SchemaMissing, why)
}

#[cfg(test)]
mod tests {
    use std::io;

    use golock_core::StoreErrorKind as Kind;
    use golock_core::store::Operation;
    use mongodb::error::Error as DriverError;

    use super::call_failed;

    #[test]
    fn answer_that_was_spoiled_on_its_way_leaves_the_outcome_open() {
        let spoiled = || DriverError::from(io::Error::other("received fatal alert: BadRecordMac")).into();
        assert_eq!(call_failed(Operation::Connect, spoiled()).kind(), Kind::Tls);
        assert_eq!(call_failed(Operation::Acquire, spoiled()).kind(), Kind::Connection);
    }
}
