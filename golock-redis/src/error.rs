//! From what the driver and the server say to the kinds of failure that golock knows.

use std::error::Error as StdError;

use fred::error::{Error as DriverError, ErrorKind};
use golock_core::store::{Operation, StoreError, StoreErrorKind};

/// How errors, logs and metrics name this backend.
pub(crate) const BACKEND: &str = "redis";

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
    let kind = reply_kind(error.details()).unwrap_or_else(|| driver_kind(&error));
    failure(operation, kind, error)
}

/// A connection that could not be opened, or prepared.
pub(crate) fn open_failed(error: DriverError, uses_tls: bool) -> StoreError {
    // The driver logs in by it, and the server repeats what it was told along with it: the password, too.
    if error.details().contains("unknown command") {
        let why = "the server does not know HELLO: Redis 6 or newer is needed, under the command's own name";
        return failure(Operation::Connect, StoreErrorKind::Configuration, why);
    }
    // Invalid data is what rustls calls a certificate, or an answer, that it does not accept. That the connection ended before there was
    // any says nothing of TLS.
    let says = |words: &str| error.details().contains(words);
    let is_tls = uses_tls && (says("kind: InvalidData") || says("tls") && !says("kind: UnexpectedEof"));
    match is_tls {
        true => failure(Operation::Connect, StoreErrorKind::Tls, error),
        false => call_failed(Operation::Connect, error),
    }
}

/// The server does not know the script (any more).
pub(crate) fn is_unknown_script(error: &DriverError) -> bool {
    error.details().starts_with("NOSCRIPT")
}

/// The server became a replica, or has lost its primary. (Redis 6 says so in the middle of a sentence about the script.)
pub(crate) fn is_no_primary(error: &DriverError) -> bool {
    error.details().contains("READONLY ") || error.details().contains("MASTERDOWN ")
}

/// The server writes nothing while it has too few replicas: they may have gone over to another primary.
pub(crate) fn is_left_by_replicas(error: &DriverError) -> bool {
    error.details().starts_with("NOREPLICAS ")
}

/// The server answered, with an error: the connection can be used again.
pub(crate) fn is_answer(error: &DriverError) -> bool {
    reply_kind(error.details()).is_some_and(|kind| kind != StoreErrorKind::Connection)
}

/// What the first word of an error that the server answered with stands for. `None`: the driver's own words.
fn reply_kind(reply: &str) -> Option<StoreErrorKind> {
    use StoreErrorKind as Kind;
    let code = reply.split(' ').next().unwrap_or_default();
    Some(match code {
        "NOAUTH" | "WRONGPASS" => Kind::Authentication,
        "NOPERM" => Kind::Permission,
        "READONLY" => Kind::ReadOnly,
        // As Redis 6 says it, of the script's first write.
        "ERR" if reply.contains("-READONLY ") => Kind::ReadOnly,
        "ERR" if reply.contains("-OOM ") || reply.contains("-MISCONF ") => Kind::Unavailable,
        "LOADING" | "MASTERDOWN" | "BUSY" | "TRYAGAIN" | "OOM" | "MISCONF" | "NOREPLICAS" => {
            Kind::Unavailable
        }
        // The driver gives it to all requests on the connection, also to those that were executed before.
        "CLUSTERDOWN" => Kind::Connection,
        "WRONGTYPE" => Kind::SchemaMissing,
        "NOPROTO" | "DENIED" => Kind::Configuration,
        "ERR" if reply.contains("max number of clients") => Kind::Unavailable,
        "ERR" if reply.contains("can't run this command") => Kind::Permission,
        "ERR" if reply.starts_with("ERR AUTH ") || reply.contains("invalid password") => Kind::Authentication,
        "ERR" if reply.contains("DB index") || reply.contains("SELECT is not allowed") => Kind::Configuration,
        "ERR" if reply.contains("unknown command") || reply.contains("cluster support disabled") => {
            Kind::Configuration
        }
        // Of a Cluster, where one server was named.
        "MOVED" | "ASK" => Kind::Configuration,
        _ if code.len() > 1 && code.bytes().all(|byte| byte.is_ascii_uppercase()) => Kind::Other,
        _ => return None,
    })
}

fn driver_kind(error: &DriverError) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    match error.kind() {
        ErrorKind::Auth => Kind::Authentication,
        ErrorKind::Tls => Kind::Tls,
        ErrorKind::Timeout => Kind::Timeout,
        ErrorKind::Config | ErrorKind::Url => Kind::Configuration,
        // What fred calls unknown is a connection that ended before it had passed an answer on.
        ErrorKind::IO
        | ErrorKind::Canceled
        | ErrorKind::Routing
        | ErrorKind::Cluster
        | ErrorKind::Sentinel
        | ErrorKind::Backpressure
        | ErrorKind::Protocol
        | ErrorKind::Unknown => Kind::Connection,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use fred::error::{Error as DriverError, ErrorKind};
    use golock_core::store::{Operation, StoreErrorKind as Kind};

    use super::{call_failed, open_failed};

    #[test]
    fn replies_are_told_apart_by_their_first_word() {
        for (reply, kind) in [
            ("NOAUTH Authentication required.", Kind::Authentication),
            ("WRONGPASS invalid username-password pair or user is disabled.", Kind::Authentication),
            ("NOPERM this user has no permissions to run the 'hset' command", Kind::Permission),
            ("READONLY You can't write against a read only replica.", Kind::ReadOnly),
            (
                "ERR Error running script: -READONLY You can't write against a read only replica.",
                Kind::ReadOnly,
            ),
            ("LOADING Redis is loading the dataset in memory", Kind::Unavailable),
            ("MASTERDOWN Link with MASTER is down", Kind::Unavailable),
            ("OOM command not allowed when used memory > 'maxmemory'.", Kind::Unavailable),
            (
                "ERR Error running script (call to f_1): @user_script:9: @user_script: 9: -OOM command not allowed",
                Kind::Unavailable,
            ),
            ("CLUSTERDOWN Hash slot not served", Kind::Connection),
            ("MOVED 3999 127.0.0.1:6381", Kind::Configuration),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Kind::SchemaMissing),
            ("ERR max number of clients reached", Kind::Unavailable),
            ("ERR DB index is out of range", Kind::Configuration),
            ("ERR user_script:1: attempt to perform arithmetic on a nil value", Kind::Other),
            ("SOMETHING new", Kind::Other),
        ] {
            let error = call_failed(Operation::Acquire, DriverError::new(ErrorKind::Unknown, reply));
            assert_eq!(error.kind(), kind, "{reply}");
            assert!(error.source().is_some_and(|source| source.to_string().contains(reply)));
        }
    }

    /// As a server without HELLO says it.
    #[test]
    fn nothing_of_a_login_is_repeated() {
        let said = "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'app' 'sesame' ";
        let error = open_failed(DriverError::new(ErrorKind::Unknown, said), false);
        assert_eq!(error.kind(), Kind::Configuration);
        assert!(!format!("{error:?} {}", error.source().unwrap()).contains("sesame"));
    }

    #[test]
    fn a_connection_that_ends_says_nothing_of_tls() {
        let opening = |details| open_failed(DriverError::new(ErrorKind::IO, details), true).kind();
        let ended = r#"Custom { kind: UnexpectedEof, error: "tls handshake eof" }"#;
        assert_eq!(opening(ended), Kind::Connection);
        assert_eq!(opening("Custom { kind: InvalidData, error: InvalidCertificate(Expired) }"), Kind::Tls);
    }

    #[test]
    fn what_the_driver_says_leaves_the_outcome_open() {
        for (kind, details) in [
            (ErrorKind::IO, "Connection closed."),
            (ErrorKind::Canceled, "Canceled."),
            (ErrorKind::Unknown, "channel closed"),
            (ErrorKind::Unknown, "Too many failed write attempts."),
            (ErrorKind::Timeout, "Request timed out."),
        ] {
            let error = call_failed(Operation::Acquire, DriverError::new(kind, details));
            assert!(error.is_transient() && !error.kind().took_no_effect(), "{details}: {error}");
        }
    }
}
