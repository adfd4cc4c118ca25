//! From what the driver and the server say to the kinds of failure that golock knows.

use std::error::Error as StdError;
use std::io;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use tokio_postgres::Error as DriverError;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// How errors, logs and metrics name this backend.
pub(crate) const BACKEND: &str = "postgres";

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
    let kind = match error.as_db_error() {
        // The connection ends with such an error, which may have come after the statement was committed.
        Some(error) if !is_plain(error) => StoreErrorKind::Connection,
        Some(error) => sql_kind(error.code(), operation),
        None => driver_kind(&error),
    };
    failure(operation, kind, error)
}

/// The session can be used again: the server answered the statement with an error, and that is all.
pub(crate) fn leaves_session_usable(error: &DriverError) -> bool {
    error.as_db_error().filter(|error| is_plain(error)).is_some_and(|error| {
        // Reconnecting may help: to a server that is no standby, to a session that has our statements, and has them
        // for the table as it is now.
        !matches!(
            *error.code(),
            SqlState::READ_ONLY_SQL_TRANSACTION
                | SqlState::INVALID_SQL_STATEMENT_NAME
                | SqlState::DUPLICATE_PSTATEMENT
                | SqlState::FEATURE_NOT_SUPPORTED
        )
    })
}

/// The server took the statement back for another's sake, and it may be sent again at once.
pub(crate) fn is_worth_another_try(error: &DriverError) -> bool {
    matches!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED))
}

/// The table is not there, as far as this role can see. (What is not there for a trigger is told with the place in its code.)
pub(crate) fn is_table_missing(error: &StoreError) -> bool {
    let said = driver(error).and_then(DriverError::as_db_error);
    said.is_some_and(|said| *said.code() == SqlState::UNDEFINED_TABLE && said.where_().is_none())
}

/// Another created the same thing at the same time: a schema, a table, its type, its comments.
pub(crate) fn is_collision(error: &StoreError) -> bool {
    matches!(
        driver(error).and_then(DriverError::code),
        Some(
            &SqlState::UNIQUE_VIOLATION
                | &SqlState::DUPLICATE_TABLE
                | &SqlState::DUPLICATE_SCHEMA
                | &SqlState::DUPLICATE_OBJECT
                // "tuple concurrently updated"
                | &SqlState::INTERNAL_ERROR
        )
    )
}

fn driver(error: &StoreError) -> Option<&DriverError> {
    error.source()?.downcast_ref()
}

/// The server ended the statement at its timeout.
pub(crate) fn is_statement_timeout(error: &DriverError) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// Of several servers (or addresses), none allows writes: what tokio-postgres says to `target_session_attrs`.
pub(crate) fn is_not_writable(error: &DriverError) -> bool {
    io_error(error).is_some_and(says_not_writable)
}

/// Over TLS 1.3 a server refuses a client's certificate, or the lack of one, when the client already takes itself to be connected.
fn says_no_by_tls(error: &io::Error) -> bool {
    let within = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(within, Some(rustls::Error::AlertReceived(_)))
}

/// The driver's own word for it. The operating system has the same one for a socket that it keeps from us.
fn says_not_writable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// A session that could not be opened.
pub(crate) fn not_opened(error: DriverError) -> StoreError {
    let kind = match error.as_db_error() {
        Some(error) => sql_kind(error.code(), Operation::Connect),
        None if is_not_writable(&error) => StoreErrorKind::ReadOnly,
        None => driver_kind(&error),
    };
    failure(Operation::Connect, kind, error)
}

/// It ends the statement and not the session. A server whose words are not known is believed to be gone.
fn is_plain(error: &DbError) -> bool {
    error.parsed_severity() == Some(Severity::Error)
}

fn sql_kind(state: &SqlState, operation: Operation) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match *state {
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE if operation.takes_a_token() => Kind::TokenExhausted,
        SqlState::INSUFFICIENT_PRIVILEGE => Kind::Permission,
        SqlState::SYNTAX_ERROR => Kind::Other,
        SqlState::INVALID_SCHEMA_NAME | SqlState::NOT_NULL_VIOLATION => Kind::SchemaMissing,
        SqlState::READ_ONLY_SQL_TRANSACTION => Kind::ReadOnly,
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE => Kind::Conflict,
        SqlState::QUERY_CANCELED => Kind::Timeout,
        // No such database.
        SqlState::INVALID_CATALOG_NAME => Kind::Configuration,
        // A prepared statement is not on the session that it was prepared on.
        SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => Kind::Configuration,
        _ => match &state.code()[..2] {
            "28" => Kind::Authentication,
            "08" => Kind::Connection,
            // The statements don't fit what is there.
            "42" => Kind::SchemaMissing,
            // 53: out of connections, memory, disk space. 57: shutting down, starting up.
            "53" | "57" => Kind::Unavailable,
            _ => Kind::Other,
        },
    }
}

/// The driver shows the kind of its own errors only in words: `tests/postgres` holds it to them.
fn driver_kind(error: &DriverError) -> StoreErrorKind {
    let words = error.to_string();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if words.contains("TLS") || io_error(error).is_some_and(says_no_by_tls) {
        StoreErrorKind::Tls
    } else if words.starts_with("authentication error") || cause == "password missing" {
        StoreErrorKind::Authentication
    } else if words.starts_with("invalid con") {
        StoreErrorKind::Configuration
    } else if error.is_closed() || io_error(error).is_some() {
        StoreErrorKind::Connection
    } else {
        StoreErrorKind::Other
    }
}

fn io_error(error: &DriverError) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use golock_core::store::{Operation, StoreErrorKind as Kind};
    use tokio_postgres::error::SqlState;

    use super::{says_no_by_tls, says_not_writable, sql_kind};

    #[test]
    fn a_certificate_that_the_server_refuses_is_no_broken_connection() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        assert!(says_no_by_tls(&Error::new(ErrorKind::InvalidData, alert)));
        assert!(!says_no_by_tls(&Error::from(ErrorKind::UnexpectedEof)));
    }

    #[test]
    fn a_socket_that_may_not_be_used_is_no_read_only_server() {
        let drivers = Error::new(ErrorKind::PermissionDenied, "database does not allow writes");
        assert!(says_not_writable(&drivers));
        assert!(!says_not_writable(&Error::from_raw_os_error(13)), "EACCES");
    }

    #[test]
    fn states_of_sql_are_told_apart() {
        for (state, kind) in [
            ("28P01", Kind::Authentication),
            ("28000", Kind::Authentication),
            ("42501", Kind::Permission),
            ("42P01", Kind::SchemaMissing),
            ("3F000", Kind::SchemaMissing),
            ("42703", Kind::SchemaMissing),
            ("42P10", Kind::SchemaMissing),
            ("25006", Kind::ReadOnly),
            ("40001", Kind::Conflict),
            ("40P01", Kind::Conflict),
            ("55P03", Kind::Conflict),
            ("57014", Kind::Timeout),
            ("57P03", Kind::Unavailable),
            ("53300", Kind::Unavailable),
            ("08P01", Kind::Connection),
            ("3D000", Kind::Configuration),
            ("26000", Kind::Configuration),
            ("22003", Kind::TokenExhausted),
            ("XX000", Kind::Other),
        ] {
            assert_eq!(sql_kind(&SqlState::from_code(state), Operation::Acquire), kind, "{state}");
        }
        assert_eq!(sql_kind(&SqlState::from_code("22003"), Operation::Purge), Kind::Other);
    }
}
