//! How golock fails: one line for people, and an exit code for scripts (those of sysexits.h, where there is one).

use std::error::Error as StdError;
use std::ffi::OsStr;
use std::fmt;
use std::io;

use golock_conformance::BoxError;
use golock_core::{Error, InvalidInput, StoreError, StoreErrorKind};

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    line: String,
    code: u8,
    /// It may be better in a moment.
    is_transient: bool,
    /// There is no table of locks, or it is another than golock's.
    is_schema_missing: bool,
    /// The exit code says all.
    is_quiet: bool,
}

/// Nobody holds the lock; a check found a fault.
pub(crate) const NEGATIVE: u8 = 1;
/// The command line can't be right.
pub(crate) const USAGE: u8 = 64;
/// The store can't be reached, or failed.
pub(crate) const UNAVAILABLE: u8 = 69;
/// A fault of golock, or of the system below it.
pub(crate) const INTERNAL: u8 = 70;
/// The lock was lost while the command ran.
pub(crate) const LOST: u8 = 74;
/// Another holds the lock.
pub(crate) const BUSY: u8 = 75;
/// The store does not let this user in, or do this.
pub(crate) const PERMISSION: u8 = 77;
/// The store is not set up as it has to be.
pub(crate) const CONFIGURATION: u8 = 78;
/// Nobody reads what golock prints: as a shell has it, where a program ends by SIGPIPE.
const UNREAD: u8 = 128 + 13;

impl Failure {
    pub(crate) fn new(code: u8, line: impl Into<String>) -> Self {
        // One line, whatever a server or a name has in it.
        let line = line.into().split(['\n', '\r']).map(str::trim).collect::<Vec<_>>().join(" ");
        Self { line, code, is_transient: false, is_schema_missing: false, is_quiet: false }
    }

    pub(crate) fn usage(line: impl Into<String>) -> Self {
        Self::new(USAGE, line)
    }

    pub(crate) fn internal(line: impl Into<String>) -> Self {
        Self::new(INTERNAL, line)
    }

    /// As a shell has it: 127 if there is no such program, 126 if it can't be run.
    pub(crate) fn cannot_run(program: &OsStr, error: &io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        Self::new(code, format!("can't run {program:?}: {error}"))
    }

    /// A store's error, or a driver's, which then says all that is known.
    pub(crate) fn from_box(error: &BoxError) -> Self {
        match error.downcast_ref::<StoreError>() {
            Some(error) => error.clone().into(),
            None => Self::new(UNAVAILABLE, chain(&**error)),
        }
    }

    /// With another code.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// To be told by its exit code alone.
    pub(crate) fn quietly(self) -> Self {
        Self { is_quiet: true, ..self }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.is_transient
    }

    pub(crate) fn is_schema_missing(&self) -> bool {
        self.is_schema_missing
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let store_failed = |source: &StoreError| match source.kind() {
            StoreErrorKind::Authentication | StoreErrorKind::Permission => PERMISSION,
            StoreErrorKind::SchemaMissing | StoreErrorKind::Configuration | StoreErrorKind::ReadOnly => {
                CONFIGURATION
            }
            _ => UNAVAILABLE,
        };
        let code = match &error {
            error if error.is_held() => BUSY,
            Error::WaitTimeout { source: Some(source), .. } | Error::Store { source, .. } => {
                store_failed(source)
            }
            Error::Invalid(_) => USAGE,
            Error::Lost { .. } => LOST,
            _ => INTERNAL,
        };
        let is_schema_missing =
            matches!(&error, Error::Store { source, .. } if source.kind() == StoreErrorKind::SchemaMissing);
        Self { is_transient: error.is_transient(), is_schema_missing, ..Self::new(code, chain(&error)) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<InvalidInput> for Failure {
    fn from(error: InvalidInput) -> Self {
        Error::from(error).into()
    }
}

impl From<io::Error> for Failure {
    /// Nothing but reading from and writing to the terminal is left to the system's own words.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // As of `golock ls | head -1`.
            io::ErrorKind::BrokenPipe => Self::new(UNREAD, error.to_string()).quietly(),
            _ => Self::internal(error.to_string()),
        }
    }
}

/// An error and all of its sources, in one line, each thing said once.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = error.source();
    }
    text
}
