//! From a URL to the configuration of fred.

use fred::types::config::{Config, ConnectionConfig};
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::error::failure;
use crate::setup::Setup;
use crate::tls;

/// How connections are opened that a URL stands for.
pub(crate) fn parse(url: &str) -> Result<Setup, StoreError> {
    // fred would make the TLS configuration out with the process-wide provider, and panic if there are two to choose from.
    let (uses_tls, plain) = without_tls(url).ok_or_else(wrong)?;
    // The parser's own words may repeat a piece of the URL, and with it of the password.
    let mut config = Config::from_url(&plain).map_err(|_| wrong())?;
    if config.username.is_some() && config.password.is_none() {
        // fred would log in as somebody else: the user `default`.
        let why = "the URL names a user and no password: redis://user:password@host:6379/0";
        return Err(failure(Operation::Connect, StoreErrorKind::Configuration, why));
    }
    if uses_tls {
        config.tls = Some(tls::config()?);
    }
    Ok(Setup::new(config, ConnectionConfig::default()))
}

/// Whether the URL asks for TLS, and the same URL without.
fn without_tls(url: &str) -> Option<(bool, String)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let (server, layout) = scheme.split_at(scheme.find('-').unwrap_or(scheme.len()));
    let (uses_tls, server) = match server {
        "redis" | "valkey" => (false, server),
        "rediss" => (true, "redis"),
        "valkeys" => (true, "valkey"),
        _ => return None,
    };
    let is_known = matches!(layout, "" | "-cluster" | "-sentinel");
    is_known.then(|| (uses_tls, format!("{server}{layout}://{rest}")))
}

fn wrong() -> StoreError {
    let why = "the URL is not one of Redis: redis://user:password@host:6379/0 (or rediss, valkey, valkeys, with \
               -cluster or -sentinel)";
    failure(Operation::Connect, StoreErrorKind::Configuration, why)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use golock_core::StoreErrorKind;

    use super::parse;

    #[test]
    fn nothing_of_a_wrong_url_is_repeated() {
        for url in [
            "redis://user:se/cret@host",
            "redis://user:12/secret@host",
            "redis://user:secret@host/secret",
            "redis://user:secret@",
            "redis://user:secret@host:secret",
            "redis-secret://user:secret@host",
            "mysql://user:secret@host",
            "user:secret@host",
            "redis://secret@host",
            "redis-cluster://secret:@host",
        ] {
            let error = parse(url).map(drop).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Configuration);
            let said = format!("{error} {error:?} {}", error.source().unwrap());
            assert!(!said.contains("cret"), "{said}");
        }
    }

    #[test]
    fn urls_of_every_layout_are_known() {
        for (url, servers) in [
            ("redis://host", &["host:6379"][..]),
            ("REDIS://host:1/2", &["host:1"]),
            ("valkey://user:p%40ss@host:1", &["host:1"]),
            ("redis-cluster://one:1?node=two:2", &["two:2", "one:1"]),
            ("redis-sentinel://one:1?sentinelServiceName=main", &["one:1"]),
        ] {
            let hosts: Vec<_> = parse(url).unwrap().hosts().iter().map(ToString::to_string).collect();
            assert_eq!(hosts, servers, "{url}");
        }
    }
}
