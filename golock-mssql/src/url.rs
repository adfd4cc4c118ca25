//! From a URL, or an ADO connection string, to the driver's configuration.

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use percent_encoding::percent_decode_str;
use tiberius::{AuthMethod, Config, EncryptionLevel};
use url::{Host, Url};

use crate::error::failure;

const SCHEME: &str = "mssql";

/// The configuration that a URL or an ADO connection string stands for.
pub(crate) fn parse(text: &str) -> Result<Config, StoreError> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == SCHEME => from_url(&url),
        Err(_) if is_ado(text) => Config::from_ado_string(text).map_err(|_| wrong(WRONG_ADO)),
        Ok(_) | Err(_) => Err(wrong(WRONG_URL)),
    }
}

/// Nothing of what was given is repeated: a piece of it may be a piece of the password.
fn wrong(why: &'static str) -> StoreError {
    failure(Operation::Connect, StoreErrorKind::Configuration, why)
}

const WRONG_URL: &str = "the URL is not one of SQL Server: mssql://user:password@host:1433/database?option=value, with what \
    is special in them percent-encoded";
const WRONG_ADO: &str =
    "the ADO connection string can't be right: server=tcp:host,1433;user=…;password='…';database=…";
const NOBODY: &str = "the URL names no user";
const WRONG_OPTION: &str = "an option of the URL, or its value, is none that golock knows: encrypt=true|false|danger_plaintext, \
    trust_server_certificate=true|false, trust_server_certificate_ca, hostname_in_certificate, instance, \
    multi_subnet_failover=true|false, application_name";
const TRUST_TWICE: &str =
    "of trust_server_certificate=true and trust_server_certificate_ca only one can be meant";

/// `server=…` or `data source=…` is what tells it from a URL that is none.
fn is_ado(text: &str) -> bool {
    let keys = text.split(';').filter_map(|pair| pair.split_once('=')).map(|(key, _)| key.trim());
    keys.into_iter().any(|key| ["server", "data source"].iter().any(|known| key.eq_ignore_ascii_case(known)))
}

fn from_url(url: &Url) -> Result<Config, StoreError> {
    let mut config = Config::new();
    match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => config.host(decoded(name)?),
        Some(Host::Ipv4(address)) => config.host(address),
        Some(Host::Ipv6(address)) => config.host(address),
        _ => return Err(wrong(WRONG_URL)),
    }
    if let Some(port) = url.port() {
        config.port(port);
    }
    if url.username().is_empty() {
        return Err(wrong(NOBODY));
    }
    let password = decoded(url.password().unwrap_or_default())?;
    config.authentication(AuthMethod::sql_server(decoded(url.username())?, password));
    let database = decoded(url.path().strip_prefix('/').unwrap_or_default())?;
    if !database.is_empty() {
        config.database(database);
    }
    config.application_name("golock");

    let (mut trust_any, mut trust_ca) = (false, None);
    for (option, value) in url.query_pairs() {
        match &*option {
            "encrypt" => config.encryption(match &*value {
                "true" => EncryptionLevel::Required,
                "false" => EncryptionLevel::Off,
                "danger_plaintext" => EncryptionLevel::NotSupported,
                _ => return Err(wrong(WRONG_OPTION)),
            }),
            "trust_server_certificate" => trust_any = flag(&value)?,
            "trust_server_certificate_ca" => trust_ca = Some(value),
            "hostname_in_certificate" => config.hostname_in_certificate(value),
            "instance" => config.instance_name(value),
            "multi_subnet_failover" => config.multi_subnet_failover(flag(&value)?),
            "application_name" => config.application_name(value),
            _ => return Err(wrong(WRONG_OPTION)),
        }
    }
    match (trust_any, trust_ca) {
        // The driver would panic.
        (true, Some(_)) => return Err(wrong(TRUST_TWICE)),
        (true, None) => config.trust_cert(),
        (false, Some(file)) => config.trust_cert_ca(file),
        (false, None) => {}
    }
    Ok(config)
}

fn decoded(text: &str) -> Result<String, StoreError> {
    percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| wrong(WRONG_URL))
}

fn flag(value: &str) -> Result<bool, StoreError> {
    value.parse().map_err(|_| wrong(WRONG_OPTION))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use golock_core::StoreErrorKind;

    use super::parse;

    #[test]
    fn nothing_of_a_wrong_url_is_repeated() {
        for text in [
            "mssql://user:se?cret@host/database",
            "mssql://user:se/cret@host/database",
            "mssql://user:se#cret@host/database",
            "mssql://user:secret@host/database?cret=1",
            "mssql://user:secret@host?encrypt=cret",
            "mssql://user:secret@host:99999",
            "mssql://user:secret@",
            "mssql://:secret@host",
            "mssql://user:%ffsecret@host",
            "mssql://user:secret@host?trust_server_certificate=true&trust_server_certificate_ca=cret",
            "postgres://user:secret@host",
            "server=tcp:host,port;password=secret",
            "server=tcp:host;password='secret",
            "server=tcp:host;encrypt=cret",
            "password=secret",
            "secret",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Configuration, "{text}");
            let said = format!("{error} {error:?} {}", error.source().unwrap());
            assert!(!said.contains("cret="), "{said}");
            assert!(!said.replace("danger_plaintext", "").contains("secret"), "{said}");
        }
    }

    #[test]
    fn what_a_url_says_is_configured() {
        let config = parse(
            "mssql://us%65r:p%40ss%2Fw%C3%B6rd@db.example.com:14330/my%20db?encrypt=false&instance=one&application_name=me",
        );
        let shown = format!("{:?}", config.unwrap());
        for expected in [
            "\"db.example.com\"",
            "14330",
            "\"my db\"",
            "Off",
            "\"user\"",
            "\"one\"",
            "\"me\"",
            "bypass: false",
        ] {
            assert!(shown.contains(expected), "{expected} in {shown}");
        }
        assert!(!shown.contains("p@ss"), "{shown}");
    }

    #[test]
    fn the_default_is_encrypted_and_verified() {
        let shown = format!("{:?}", parse("mssql://user:secret@[::1]/db").unwrap());
        assert!(
            shown.contains("\"::1\"") && shown.contains("Required") && shown.contains("bypass: false"),
            "{shown}"
        );
        assert_eq!(parse("mssql://user:secret@[::1]/db").unwrap().get_addr(), "::1:1433");
    }

    #[test]
    fn an_ado_string_is_taken_too() {
        let config =
            parse("Server=tcp:host,14330;user=sa;password='a;b=c';TrustServerCertificate=true").unwrap();
        assert_eq!(config.get_addr(), "host:14330");
    }
}
