//! From a URL to a path.

use std::path::PathBuf;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use percent_encoding::percent_decode_str;

use crate::error::failure;

const SCHEME: &str = "sqlite://";

/// The path that a URL stands for, or that stands there as it is.
pub(crate) fn parse(url: &str) -> Result<PathBuf, StoreError> {
    let wrong = |why: &str| Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
    let Some(path) = url.strip_prefix(SCHEME) else {
        // What other libraries take for a URL, `sqlite:locks.db`, would be another file than `sqlite://locks.db`.
        return match url.contains("://") || url.starts_with("sqlite:") {
            true => wrong("the URL is not one of SQLite: sqlite:///path/to/file, sqlite://relative/path"),
            false => Ok(PathBuf::from(url)),
        };
    };
    if path.contains(['?', '#']) {
        return wrong("the URL has parameters, and SQLite's has none: a ? in a path is written as %3F");
    }
    match percent_decode_str(path).decode_utf8() {
        Ok(path) => Ok(PathBuf::from(&*path)),
        Err(_) => wrong("the URL's path is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use golock_core::StoreErrorKind;

    use super::parse;

    #[test]
    fn urls_and_plain_paths_name_files() {
        for (url, path) in [
            ("sqlite:///var/lib/locks.db", "/var/lib/locks.db"),
            ("sqlite://locks.db", "locks.db"),
            ("sqlite://a%20b%3F.db", "a b?.db"),
            ("/var/lib/a%20b?.db", "/var/lib/a%20b?.db"),
            ("locks.db", "locks.db"),
        ] {
            assert_eq!(parse(url).unwrap(), Path::new(path));
        }
    }

    #[test]
    fn urls_of_others_and_parameters_are_refused() {
        for url in [
            "postgres://user:secret@host/db",
            "sqlite://a?mode=rw",
            "sqlite://a#b",
            "sqlite://%ff",
            "sqlite:locks.db",
            "sqlite::memory:",
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Configuration);
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
