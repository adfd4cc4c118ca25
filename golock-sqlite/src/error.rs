//! From what SQLite says to the kinds of failure that golock knows.

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::path::Path;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use rusqlite::{Error, ErrorCode, ffi};

/// How errors, logs and metrics name this backend.
pub(crate) const BACKEND: &str = "sqlite";

/// A failure that this crate names itself.
pub(crate) fn failure(
    operation: Operation,
    kind: StoreErrorKind,
    why: impl Into<Box<dyn StdError + Send + Sync>>,
) -> StoreError {
    StoreError::new(BACKEND, operation, kind, why)
}

/// What SQLite failed.
pub(crate) fn failed(operation: Operation, error: Error) -> StoreError {
    failure(operation, kind(&error), error)
}

/// Why a file could not be opened: SQLite does not say. (The file itself is not looked into: to close it again would drop
/// the locks that this process has on it.)
pub(crate) fn not_opened(path: &Path, create: bool, error: Error) -> StoreError {
    let opening = |kind, why: String| failure(Operation::Connect, kind, why);
    if kind(&error) != StoreErrorKind::Permission || code(&error) != Some(ErrorCode::CannotOpen) {
        return failed(Operation::Connect, error);
    }
    // Whoever is to make the file is to make its directory too.
    if !create && matches!(path.try_exists(), Ok(false)) {
        return opening(StoreErrorKind::SchemaMissing, format!("there is no file {}", path.display()));
    }
    let directory = path.parent().unwrap_or(path);
    match fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            let why = format!("there is no directory {}", directory.display());
            opening(StoreErrorKind::Configuration, why)
        }
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
            failure(Operation::Connect, StoreErrorKind::Unavailable, error)
        }
        _ if path.is_dir() => {
            opening(StoreErrorKind::Configuration, format!("{} is a directory", path.display()))
        }
        _ => failed(Operation::Connect, error),
    }
}

/// The table is not there.
pub(crate) fn is_table_missing(error: &Error) -> bool {
    code(error) == Some(ErrorCode::Unknown) && error.to_string().starts_with("no such table")
}

/// Another holds a lock that is needed.
pub(crate) fn is_busy(error: &Error) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The connection can be used again.
pub(crate) fn is_harmless(error: &Error) -> bool {
    matches!(kind(error), StoreErrorKind::Conflict | StoreErrorKind::TokenExhausted)
}

fn kind(error: &Error) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    let Some(code) = code(error) else { return Kind::Other };
    match code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::SchemaChanged => Kind::Conflict,
        ErrorCode::OperationInterrupted => Kind::Timeout,
        ErrorCode::DiskFull | ErrorCode::OutOfMemory => Kind::Unavailable,
        // The file was deleted, and what stands beside it is still in use.
        ErrorCode::SystemIoFailure if extended(error) == Some(ffi::SQLITE_IOERR_SHORT_READ) => {
            Kind::Unavailable
        }
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied | ErrorCode::CannotOpen => {
            Kind::Permission
        }
        ErrorCode::ReadOnly => Kind::ReadOnly,
        ErrorCode::NotADatabase => Kind::Configuration,
        // Of all that is written only a token can be too large for its column.
        ErrorCode::ConstraintViolation if extended(error) == Some(ffi::SQLITE_CONSTRAINT_DATATYPE) => {
            Kind::TokenExhausted
        }
        // A table that is not there, or has other columns.
        ErrorCode::Unknown if error.to_string().contains("no such") => Kind::SchemaMissing,
        ErrorCode::Unknown if error.to_string().contains("has no column named") => Kind::SchemaMissing,
        _ => Kind::Other,
    }
}

fn code(error: &Error) -> Option<ErrorCode> {
    said(error).map(|error| error.code)
}

fn extended(error: &Error) -> Option<i32> {
    said(error).map(|error| error.extended_code)
}

fn said(error: &Error) -> Option<&ffi::Error> {
    match error {
        Error::SqliteFailure(error, _) | Error::SqlInputError { error, .. } => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use golock_core::StoreErrorKind as Kind;
    use golock_core::store::Operation;
    use rusqlite::{Error, ffi};

    use super::{failed, is_table_missing};

    fn said(code: i32, message: &str) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), Some(message.to_owned()))
    }

    #[test]
    fn sqlites_codes_are_told_apart() {
        for (code, message, kind) in [
            (ffi::SQLITE_BUSY, "database is locked", Kind::Conflict),
            (ffi::SQLITE_BUSY_SNAPSHOT, "database is locked", Kind::Conflict),
            (ffi::SQLITE_BUSY_RECOVERY, "database is locked", Kind::Conflict),
            (ffi::SQLITE_PROTOCOL, "locking protocol", Kind::Conflict),
            (ffi::SQLITE_INTERRUPT, "interrupted", Kind::Timeout),
            (ffi::SQLITE_FULL, "database or disk is full", Kind::Unavailable),
            (ffi::SQLITE_READONLY, "attempt to write a readonly database", Kind::ReadOnly),
            (ffi::SQLITE_NOTADB, "file is not a database", Kind::Configuration),
            (ffi::SQLITE_CONSTRAINT_DATATYPE, "cannot store REAL value", Kind::TokenExhausted),
            (ffi::SQLITE_CONSTRAINT_CHECK, "CHECK constraint failed", Kind::Other),
            (ffi::SQLITE_ERROR, "no such table: golock", Kind::SchemaMissing),
            (ffi::SQLITE_ERROR, "no such column: token", Kind::SchemaMissing),
            (ffi::SQLITE_ERROR, "table golock has no column named token", Kind::SchemaMissing),
            (ffi::SQLITE_ERROR, "near \"x\": syntax error", Kind::Other),
            (ffi::SQLITE_IOERR_FSYNC, "disk I/O error", Kind::Other),
            (ffi::SQLITE_CORRUPT, "database disk image is malformed", Kind::Other),
        ] {
            assert_eq!(failed(Operation::Acquire, said(code, message)).kind(), kind, "{code}: {message}");
        }
        assert!(is_table_missing(&said(ffi::SQLITE_ERROR, "no such table: golock")));
        assert!(!is_table_missing(&said(ffi::SQLITE_ERROR, "no such column: token")));
    }

    #[test]
    fn what_failed_on_the_disk_may_have_taken_effect() {
        let error = failed(Operation::Acquire, said(ffi::SQLITE_IOERR_FSYNC, "disk I/O error"));
        assert!(!error.kind().took_no_effect());
    }
}
