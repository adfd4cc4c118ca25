//! From what the driver and the server say to the kinds of failure that golock knows.

use std::error::Error as StdError;
use std::fmt;

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
pub(crate) fn call_failed(operation: Operation, error: DriverError) -> StoreError {
    let kind = match &*error.kind {
        ErrorKind::Command(said) => server_kind(said.code, &said.message),
        // So says a connection, too, that was well and whose answer was spoiled on its way.
        kind @ ErrorKind::Io(_) if operation != Operation::Connect && is_about_tls(&kind.to_string()) => {
            StoreErrorKind::Connection
        }
        kind => driver_kind(kind),
    };
    // No server was found to send it to. The driver sends nothing twice, so nothing was sent before, either.
    let unsent = matches!(&*error.kind, ErrorKind::ServerSelection { .. });
    let operation = if unsent { Operation::Connect } else { operation };
    // Without the driver's labels and the bytes of the server's reply, which `DriverError` would print as well.
    failure(operation, kind, *error.kind)
}

/// What a reply that came says of failure: the command was executed, or a part of it.
pub(crate) fn in_reply(operation: Operation, reply: &Document) -> Option<StoreError> {
    if let Some(error) = reply.get_array("writeErrors").ok().and_then(|errors| errors.first()) {
        let (code, said) = said(error.as_document()?);
        return Some(failure(operation, server_kind(code, &said), InReply::OfAStatement(said)));
    }
    // It is done on the primary, but nobody knows whether a majority has it, or ever will.
    let (code, said) = said(reply.get_document("writeConcernError").ok()?);
    let kind = match code {
        // UnsatisfiableWriteConcern, UnknownReplWriteConcern, CannotSatisfyWriteConcern: not for now, either.
        79 | 100 => StoreErrorKind::Other,
        _ => StoreErrorKind::Timeout,
    };
    Some(failure(operation, kind, InReply::Unacknowledged(said)))
}

fn said(error: &Document) -> (i32, String) {
    let code = error.get_i32("code").unwrap_or(0);
    (code, format!("error {code}: {}", error.get_str("errmsg").unwrap_or("no message")))
}

/// What the failure in a reply is about.
#[derive(Debug)]
enum InReply {
    /// One of the command's statements: the others may have been executed.
    OfAStatement(String),
    /// All of them: done, but not known to the majority.
    Unacknowledged(String),
}

impl fmt::Display for InReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::OfAStatement(said) | Self::Unacknowledged(said)) = self;
        f.write_str(said)
    }
}

impl StdError for InReply {}

/// Somebody deleted it while it was at work.
pub(crate) fn row_vanished(operation: Operation) -> StoreError {
    failure(operation, StoreErrorKind::Conflict, "the row was deleted just now")
}

/// Another inserted or changed the row at the same time, and the server gave way: worth another try.
pub(crate) fn is_race(error: &StoreError) -> bool {
    error.kind() == StoreErrorKind::Conflict
}

/// Of a command of many statements: it is about one of them, and says nothing of what became of the others.
pub(crate) fn is_of_a_statement(error: &StoreError) -> bool {
    matches!(source(error), Some(InReply::OfAStatement(_)))
}

/// Of a command for many rows: one of them may have held it up, or been changed by somebody else at the same time.
pub(crate) fn may_be_of_one_row(error: &StoreError) -> bool {
    matches!(error.kind(), StoreErrorKind::Timeout | StoreErrorKind::Conflict)
        && !matches!(source(error), Some(InReply::Unacknowledged(_)))
}

/// AWS DocumentDB (66, ImmutableField) and Azure Cosmos DB (117, ConflictingOperationInProgress) on an upsert with a
/// pipeline. MongoDB itself never answers so to ours.
pub(crate) fn refuses_upsert(error: &StoreError) -> bool {
    matches!(source(error), Some(ErrorKind::Command(said)) if matches!(said.code, 66 | 117))
}

fn source<Source: StdError + 'static>(error: &StoreError) -> Option<&Source> {
    error.source()?.downcast_ref()
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
        11000 if names_a_collation(message) => Kind::Configuration,
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

/// `E11000 duplicate key error collection: … index: _id_ collation: { … } dup key: { _id: "…" }`: the words in a name are the caller's.
fn names_a_collation(message: &str) -> bool {
    message.split(" dup key: ").next().is_some_and(|index| index.contains(" collation: "))
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
    use mongodb::bson::doc;
    use mongodb::error::Error as DriverError;

    use super::{call_failed, in_reply, is_of_a_statement, may_be_of_one_row, server_kind};

    #[test]
    fn answer_that_was_spoiled_on_its_way_leaves_the_outcome_open() {
        let spoiled = || DriverError::from(io::Error::other("received fatal alert: BadRecordMac"));
        assert_eq!(call_failed(Operation::Connect, spoiled()).kind(), Kind::Tls);
        assert_eq!(call_failed(Operation::Acquire, spoiled()).kind(), Kind::Connection);
    }

    #[test]
    fn no_name_turns_a_race_into_a_wrong_setting() {
        let twice = |index: &str, name: &str| {
            let index = format!("E11000 duplicate key error collection: app.golock index: _id_{index}");
            server_kind(11000, &format!("{index} dup key: {{ _id: \"{name}\" }}"))
        };
        let merging = " collation: { locale: \"en\", strength: 1 }";
        assert_eq!(twice("", "job"), Kind::Conflict);
        assert_eq!(twice(merging, "job"), Kind::Configuration);
        for name in ["a collation: b", "a dup key: b collation: c"] {
            assert_eq!(twice("", name), Kind::Conflict, "{name}");
            assert_eq!(twice(merging, name), Kind::Configuration, "{name}");
        }
    }

    #[test]
    fn failures_beside_what_was_done_are_told_apart() {
        let failed = |reply| in_reply(Operation::Renew, &reply);
        assert!(failed(doc! { "ok": 1.0, "n": 1, "nModified": 1 }).is_none());
        let one = failed(doc! { "writeErrors": [{ "index": 0, "code": 121, "errmsg": "no" }] }).unwrap();
        assert!(one.kind() == Kind::Configuration && is_of_a_statement(&one), "{one:?}");
        let all = failed(doc! { "writeConcernError": { "code": 64, "errmsg": "late" } }).unwrap();
        assert!(all.kind() == Kind::Timeout && !is_of_a_statement(&all), "{all:?}");
        assert!(!may_be_of_one_row(&all), "another try would wait for the majority as well");
    }
}
