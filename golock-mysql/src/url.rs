//! From a URL to the driver's options.

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mysql_async::{Opts, UrlError};

use crate::error::failure;

/// The options that a URL stands for.
pub(crate) fn parse(url: &str) -> Result<Opts, StoreError> {
    Opts::from_url(url)
        .map_err(|error| failure(Operation::Connect, StoreErrorKind::Configuration, what_is_wrong(&error)))
}

/// The parser's own words may repeat a piece of the URL, and with it of the password; these don't.
fn what_is_wrong(error: &UrlError) -> String {
    match error {
        UrlError::InvalidParamValue { param, .. } => format!("the URL has an invalid value for {param}"),
        UrlError::UnknownParameter { .. } => {
            "the URL has a parameter that the driver does not know".to_owned()
        }
        UrlError::InvalidPoolConstraints { .. } => "the URL has a pool_min above its pool_max".to_owned(),
        _ => "the URL is not one of MySQL: mysql://user:password@host:3306/database".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use golock_core::StoreErrorKind;

    use super::parse;

    #[test]
    fn nothing_of_a_wrong_url_is_repeated() {
        for url in [
            "mysql://user:se?cret@host/database",
            "mysql://user:se/cret@host/database",
            "mysql://user:secret@host/database?cret=1",
            "mysql://user:pass@host/database?pool_min=secret",
            "secret://user:secret@host",
            "secret",
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Configuration);
            let said = format!("{error} {error:?} {}", error.source().unwrap());
            assert!(!said.contains("cret"), "{said}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let error = parse("mysql://user:secret@host?require_ssl=perhaps").unwrap_err();
        assert!(error.source().unwrap().to_string().contains("require_ssl"));
    }
}
