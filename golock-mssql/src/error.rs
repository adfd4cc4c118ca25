//! From what the driver and the server say to the kinds of failure that golock knows.

use std::error::Error as StdError;
use std::io;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use tiberius::error::{Error as DriverError, TokenError};

/// How errors, logs and metrics name this backend.
pub(crate) const BACKEND: &str = "mssql";

/// From this class on the server ends the connection along with the statement.
const FATAL: u8 = 20;

/// A failure that this crate names itself.
pub(crate) fn failure(
    operation: Operation,
    kind: StoreErrorKind,
    why: impl Into<Box<dyn StdError + Send + Sync>>,
) -> StoreError {
    StoreError::new(BACKEND, operation, kind, why)
}

/// A call that the driver or the server failed.
pub(crate) fn call_failed(operation: Operation, error: DriverError) -> StoreError {
    let kind = match &error {
        // It may have come while the statement was being committed.
        DriverError::Server(error) if error.class() >= FATAL || error.code() == AZURE_FAILED_OVER => {
            StoreErrorKind::Connection
        }
        error => kind_of(error, operation),
    };
    failure(operation, kind, error)
}

/// The server took the statement back for another's sake, and it may be sent again at once, on the same session.
///
/// Not so if it has waited for a lock for too long (1222): whether the transaction is rolled back then depends on where in the
/// batch it waited, and on a session with an open transaction the next grant would be committed by nobody.
pub(crate) fn is_worth_another_try(error: &DriverError) -> bool {
    matches!(error.code(), Some(DEADLOCK | MOVED | UPDATE_CONFLICT | DUPLICATE_KEY | DUPLICATE_KEY_OF_INDEX))
}

/// A session that could not be opened, on a database that `was_there` before or was never seen.
pub(crate) fn not_opened(error: DriverError, was_there: bool) -> StoreError {
    let kind = match (kind_of(&error, Operation::Connect), &error) {
        // It is being restored, used by one alone, or not back yet after a failover.
        (_, DriverError::Server(error)) if was_there && error.code() == NO_DATABASE => {
            StoreErrorKind::Unavailable
        }
        (StoreErrorKind::Other, DriverError::Server(error)) if error.class() >= FATAL => {
            StoreErrorKind::Connection
        }
        (kind, _) => kind,
    };
    failure(Operation::Connect, kind, error)
}

/// The table is not there, as far as this login can see.
pub(crate) fn is_table_missing(error: &StoreError) -> bool {
    matches!(driver(error), Some(DriverError::Server(error)) if number(error) == NO_TABLE)
}

/// What the server failed with. Babelfish has one number for much; that there is no table it says in PostgreSQL's words.
fn number(error: &TokenError) -> u32 {
    let said = error.message();
    let no_table = said.starts_with("relation \"") && said.ends_with("\" does not exist");
    if no_table { NO_TABLE } else { error.code() }
}

/// Another creates the same, and is not done yet.
pub(crate) fn is_collision(error: &StoreError) -> bool {
    /// There is already an object of this name; `CREATE SCHEMA` failed, for that reason.
    const ALREADY: [u32; 2] = [2714, 2759];
    driver(error).and_then(DriverError::code).is_some_and(|number| ALREADY.contains(&number))
}

fn driver(error: &StoreError) -> Option<&DriverError> {
    error.source()?.downcast_ref()
}

fn kind_of(error: &DriverError, operation: Operation) -> StoreErrorKind {
    match error {
        DriverError::Server(error) => number_kind(number(error), operation),
        DriverError::Tls(_) => StoreErrorKind::Tls,
        // One of the two insists on TLS and the other has none: the driver shows it only in words, and
        // `tests/mock` holds it to them.
        DriverError::Protocol(words) if words.contains("encryption level") => StoreErrorKind::Tls,
        DriverError::Io { kind: io::ErrorKind::TimedOut, .. } => StoreErrorKind::Timeout,
        // Not what TLS looks like.
        DriverError::Io { kind: io::ErrorKind::InvalidData, .. } if operation == Operation::Connect => {
            StoreErrorKind::Tls
        }
        // What can't be understood comes from a connection that is out of step, or from no SQL Server.
        DriverError::Io { .. } | DriverError::Protocol(_) | DriverError::Routing { .. } => {
            StoreErrorKind::Connection
        }
        _ => StoreErrorKind::Other,
    }
}

const DEADLOCK: u32 = 1205;
/// What a scan without locks was reading has moved: nothing is done yet.
const MOVED: u32 = 601;
const UPDATE_CONFLICT: u32 = 3960;
const DUPLICATE_KEY: u32 = 2627;
const DUPLICATE_KEY_OF_INDEX: u32 = 2601;
const OVERFLOW: u32 = 8115;
const NO_TABLE: u32 = 208;
const NO_DATABASE: u32 = 4060;
const AZURE_FAILED_OVER: u32 = 40197;

fn number_kind(number: u32, operation: Operation) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match number {
        OVERFLOW if operation.takes_a_token() => Kind::TokenExhausted,
        // Login failed; no Windows login; locked out, disabled, password expired or to be changed.
        18456 | 18452 | 18470 | 18486..=18488 => Kind::Authentication,
        // On the table, a column, CREATE; the user, the firewall of Azure.
        229 | 230 | 262 | 297 | 300 | 916 | 15247 | 40615 | 40914 => Kind::Permission,
        // No such table, column, schema; values don't fit the columns.
        207 | NO_TABLE | 213 | 257 | 2760 | 8152 | 2628 => Kind::SchemaMissing,
        // Deadlock, LOCK_TIMEOUT, snapshot; two that insert one name.
        DEADLOCK | MOVED | 1222 | UPDATE_CONFLICT | DUPLICATE_KEY | DUPLICATE_KEY_OF_INDEX => Kind::Conflict,
        // The database; the database in recovery or a mirror; a read-only replica.
        3906 | 3908 | 978 => Kind::ReadOnly,
        // No such database, or not for this login.
        NO_DATABASE | 4064 => Kind::Configuration,
        // Out of locks, memory, connections or log; shutting down, paused, being upgraded.
        701 | 1204 | 6005 | 8645 | 8651 | 9002 | 17142 | 17187..=17189 | 17809 | 18401 | 18461 => {
            Kind::Unavailable
        }
        // The database starts, is being restored, offline, in single-user mode, a mirror, without a quorum, or another replica's.
        904 | 921..=924 | 926 | 927 | 942 | 945 | 952 | 954 | 955 | 976 | 983 | 988 => Kind::Unavailable,
        // Azure: fails over, is not there for now, has too much to do.
        40143
        | 40166
        | AZURE_FAILED_OVER
        | 40501
        | 40540
        | 40613
        | 10928
        | 10929
        | 10936
        | 49918..=49920
        | 4221 => Kind::Unavailable,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use golock_core::store::{Operation, StoreErrorKind as Kind};

    use super::number_kind;

    #[test]
    fn numbers_are_told_apart() {
        for (number, kind) in [
            (18456, Kind::Authentication),
            (229, Kind::Permission),
            (262, Kind::Permission),
            (208, Kind::SchemaMissing),
            (207, Kind::SchemaMissing),
            (1205, Kind::Conflict),
            (601, Kind::Conflict),
            (1222, Kind::Conflict),
            (3960, Kind::Conflict),
            (2627, Kind::Conflict),
            (3906, Kind::ReadOnly),
            (3908, Kind::ReadOnly),
            (4060, Kind::Configuration),
            (926, Kind::Unavailable),
            (40613, Kind::Unavailable),
            (49918, Kind::Unavailable),
            (10928, Kind::Unavailable),
            (8115, Kind::TokenExhausted),
            (50000, Kind::Other),
        ] {
            assert_eq!(number_kind(number, Operation::Acquire), kind, "{number}");
        }
        assert_eq!(number_kind(8115, Operation::Purge), Kind::Other);
    }
}
