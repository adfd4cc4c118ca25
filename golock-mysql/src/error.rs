//! From what the driver and the server say to the kinds of failure that golock knows.

use std::error::Error as StdError;
use std::io;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mysql_async::{DriverError, Error, IoError, ServerError};

/// How errors, logs and metrics name this backend.
pub(crate) const BACKEND: &str = "mysql";

/// A failure that this crate names itself.
pub(crate) fn failure(
    operation: Operation,
    kind: StoreErrorKind,
    why: impl Into<Box<dyn StdError + Send + Sync>>,
) -> StoreError {
    StoreError::new(BACKEND, operation, kind, why)
}

/// What the driver or the server failed.
pub(crate) fn failed(operation: Operation, error: Error) -> StoreError {
    failure(operation, kind(operation, &error), error)
}

/// What failed after an earlier statement of the same call had taken effect.
pub(crate) fn failed_halfway(operation: Operation, error: Error) -> StoreError {
    failure(operation, kind(operation, &error).of_a_part(), error)
}

/// What failed in a transaction: nothing of it takes effect, unless it may have been the end of it that failed. What is said of
/// rows, and of what may be done with them, is said before the end.
pub(crate) fn failed_in_a_transaction(operation: Operation, error: Error) -> StoreError {
    use StoreErrorKind as Kind;
    match kind(operation, &error) {
        Kind::Conflict | Kind::TokenExhausted | Kind::Permission | Kind::SchemaMissing => {
            failed(operation, error)
        }
        _ => failed_halfway(operation, error),
    }
}

/// The table is not there, as far as the server lets this user know.
pub(crate) fn is_table_missing(error: &StoreError) -> bool {
    let error = StdError::source(error).and_then(|source| source.downcast_ref::<Error>());
    matches!(error, Some(Error::Server(ServerError { code: 1146, .. })))
}

/// The server gave the statement up so that another could go on, and it may be sent again at once. Not so if it has waited
/// for a lock for as long as it may.
pub(crate) fn is_worth_another_try(error: &Error) -> bool {
    matches!(error, Error::Server(ServerError { code: 1020 | 1213 | 3101, .. }))
}

fn kind(operation: Operation, error: &Error) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match error {
        Error::Server(error) => server_kind(error.code),
        Error::Url(_) => Kind::Configuration,
        Error::Io(IoError::Tls(_)) => Kind::Tls,
        // So rustls says that a certificate or a handshake was not as it should be; and later that an answer was spoiled on its way.
        Error::Io(IoError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData && operation == Operation::Connect =>
        {
            Kind::Tls
        }
        Error::Io(IoError::Io(_)) => Kind::Connection,
        Error::Driver(error) => match error {
            DriverError::NoClientSslFlagFromServer => Kind::Tls,
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled => Kind::Authentication,
            DriverError::ConnectionClosed
            | DriverError::PacketOutOfOrder
            | DriverError::UnexpectedPacket { .. } => Kind::Connection,
            _ => Kind::Other,
        },
        Error::Other(_) => Kind::Other,
    }
}

/// The numbers of both servers: each has some that the other has not, and none that mean two things here.
fn server_kind(code: u16) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match code {
        // A deadlock, a lock not had in time, a row changed since (MariaDB), a conflict with another node of a group.
        1020 | 1205 | 1213 | 3101 | 3572 => Kind::Conflict,
        // KILL QUERY, max_statement_time, max_execution_time.
        1317 | 1969 | 3024 => Kind::Timeout,
        // Network trouble as the server saw it; KILL CONNECTION; closed for lack of use.
        1152..=1161 | 1184 | 1927 | 3169 | 4031 => Kind::Connection,
        // A proxy or router says that it has, or had, no server: in the numbers of client libraries, or in ProxySQL's own.
        2000..=2068 | 9001..=9006 => Kind::Connection,
        // Out of connections, disk, memory or threads; shutting down; offline; a Galera node that is not ready.
        1021 | 1037 | 1038 | 1040 | 1041 | 1047 | 1053 | 1079 | 1114 | 1135 | 1203 | 1226 | 3032 => {
            Kind::Unavailable
        }
        // Password, host, plugin; locked; expired.
        1045 | 1129 | 1130 | 1251 | 1524 | 1698 | 1820 | 1862 | 3118 | 4151 => Kind::Authentication,
        // Database, table, column; a privilege of the server's.
        1044 | 1142 | 1143 | 1227 => Kind::Permission,
        // No table, or one with other columns.
        1054 | 1146 | 1364 | 1932 => Kind::SchemaMissing,
        // require_secure_transport.
        3159 => Kind::Tls,
        1290 | 1792 | 1836 | 1874 => Kind::ReadOnly,
        // No database; no such database; a variable or function that this server lacks; binlog_format = STATEMENT.
        1046 | 1049 | 1193 | 1305 | 1665 => Kind::Configuration,
        // Of all numbers in a statement, only the token can be that large.
        1264 | 1690 => Kind::TokenExhausted,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use golock_core::StoreErrorKind as Kind;
    use golock_core::store::Operation;
    use mysql_async::{DriverError, Error, IoError, ServerError};

    use super::{failed, failed_halfway, is_table_missing};

    fn server(code: u16) -> Error {
        Error::Server(ServerError { code, message: "said".to_owned(), state: "HY000".to_owned() })
    }

    #[test]
    fn the_servers_numbers_are_told_apart() {
        for (code, kind) in [
            (1205, Kind::Conflict),
            (1213, Kind::Conflict),
            (3572, Kind::Conflict),
            (1317, Kind::Timeout),
            (1969, Kind::Timeout),
            (3024, Kind::Timeout),
            (4031, Kind::Connection),
            (2003, Kind::Connection),
            (2013, Kind::Connection),
            (9001, Kind::Connection),
            (9006, Kind::Connection),
            (9007, Kind::Other),
            (1040, Kind::Unavailable),
            (1203, Kind::Unavailable),
            (1053, Kind::Unavailable),
            (1045, Kind::Authentication),
            (1044, Kind::Permission),
            (1142, Kind::Permission),
            (1146, Kind::SchemaMissing),
            (1054, Kind::SchemaMissing),
            (3159, Kind::Tls),
            (1290, Kind::ReadOnly),
            (1792, Kind::ReadOnly),
            (1836, Kind::ReadOnly),
            (1049, Kind::Configuration),
            (1665, Kind::Configuration),
            (1690, Kind::TokenExhausted),
            (1064, Kind::Other),
        ] {
            assert_eq!(failed(Operation::Acquire, server(code)).kind(), kind, "{code}");
        }
        assert!(is_table_missing(&failed(Operation::Acquire, server(1146))));
        assert!(!is_table_missing(&failed(Operation::Acquire, server(1054))));
    }

    #[test]
    fn answer_that_was_spoiled_on_its_way_leaves_the_outcome_open() {
        let spoiled = || Error::Io(IoError::Io(io::ErrorKind::InvalidData.into()));
        assert_eq!(failed(Operation::Connect, spoiled()).kind(), Kind::Tls);
        assert_eq!(failed(Operation::Acquire, spoiled()).kind(), Kind::Connection);
    }

    #[test]
    fn what_failed_halfway_may_have_taken_effect() {
        for code in [1205, 1213, 1040, 1045, 1142, 1146, 1290, 1690, 1064] {
            let error = failed_halfway(Operation::Acquire, server(code));
            assert!(!error.kind().took_no_effect(), "{code}: {error}");
        }
        assert!(failed_halfway(Operation::Acquire, server(1205)).is_transient());
        let broken = failed_halfway(Operation::Acquire, Error::Driver(DriverError::ConnectionClosed));
        assert_eq!(broken.kind(), Kind::Connection);
    }
}
