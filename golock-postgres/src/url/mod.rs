//! From a URL to a pool that opens its connections.

mod options;

use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Error as DriverError, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::options::Said;
use crate::error::{failure, is_not_writable};
use crate::tls::{self, Certificates};

/// When a connection over which nothing comes is looked after, if the URL does not say: else after two hours.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TRIES: u32 = 3;
const UNSAID_KEEPALIVE: Duration = Duration::from_secs(2 * 60 * 60);

/// What a URL stands for.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    config: Config,
    /// Whom TLS trusts, and what it shows: the driver's configuration has no place for them.
    pub(crate) certificates: Certificates,
}

impl Deref for Server {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

/// The server that a URL (or a `key=value` string) stands for, where a call may take `within`. No file is read yet.
pub(crate) fn parse(url: &str, within: Duration) -> Result<Server, StoreError> {
    let (said, url) = Said::taken_out(url).map_err(wrong)?;
    let mut config: Config = url.parse().map_err(|error| wrong(what_is_wrong(&error)))?;
    let (mode, certificates) = match said.meant(config.get_ssl_mode()).map_err(wrong)? {
        // A socket of this machine has no TLS, as for libpq.
        _ if !has_tcp_host(&config) => (SslMode::Disable, Certificates::default()),
        meant => meant,
    };
    config.ssl_mode(mode);
    if config.get_application_name().is_none() {
        config.application_name("golock");
    }
    // Hosts are tried one after the other, and so are the addresses of one: one that swallows packets leaves time for the next.
    if config.get_connect_timeout().is_none() {
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        config.connect_timeout(within / u32::try_from(hosts + 1).unwrap_or(u32::MAX));
    }
    // A statement that was given up on the way is not brought to the server long after its time.
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(within);
    }
    if config.get_keepalives_idle() == UNSAID_KEEPALIVE {
        config.keepalives_idle(KEEPALIVE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(KEEPALIVE_TRIES);
    }
    if config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    Ok(Server { config, certificates })
}

fn has_tcp_host(config: &Config) -> bool {
    !config.get_hostaddrs().is_empty() || config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)))
}

fn wrong(why: impl Into<String>) -> StoreError {
    failure(Operation::Connect, StoreErrorKind::Configuration, why.into())
}

/// A pool over connections to `server` that holds none itself.
pub(crate) fn pool(server: &Server) -> Result<(Pool, MakeRustlsConnect), StoreError> {
    let tls = tls::connector(server)?;
    let connect = WritableFirst { tls: tls.clone() };
    let manager = Manager::from_connect(server.config.clone(), connect, ManagerConfig::default());
    let pool = Pool::builder(manager)
        .max_size(1)
        .build()
        .map_err(|error| failure(Operation::Connect, StoreErrorKind::Other, error.to_string()))?;
    Ok((pool, tls))
}

/// The parser's own words may repeat a piece of the URL, and with it of the password; only these don't.
fn what_is_wrong(error: &DriverError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if cause.starts_with("invalid value for option") {
        format!("the URL has an {cause}")
    } else if cause.starts_with("unknown option") {
        "the URL has an option that the driver does not know".to_owned()
    } else {
        "the URL is not one of PostgreSQL: postgres://user:password@host:5432/database?option=value"
            .to_owned()
    }
}

/// A connection, and what drives it.
pub(crate) type Connected = (Client, Driver);
pub(crate) type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Connects to the first host or address that allows writes. If none does, the first will do: it may be that only this
/// role is read-only by default, which is repaired, or else found out, when the session is prepared.
pub(crate) async fn connect(config: &Config, tls: &MakeRustlsConnect) -> Result<Connected, DriverError> {
    match config.connect(tls.clone()).await {
        Err(error)
            if config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite
                && is_not_writable(&error) =>
        {
            let mut any = config.clone();
            any.target_session_attrs(TargetSessionAttrs::Any);
            any.connect(tls.clone()).await
        }
        outcome => outcome,
    }
}

/// Lets a pool's manager connect like that.
struct WritableFirst {
    tls: MakeRustlsConnect,
}

type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), DriverError>> + Send + 'a>>;

impl Connect for WritableFirst {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        let config = config.clone();
        Box::pin(async move {
            let (client, driver) = connect(&config, &self.tls).await?;
            let driving = tokio::spawn(async move {
                if let Err(error) = driver.await {
                    tracing::debug!(%error, "a connection to PostgreSQL ended");
                }
            });
            Ok((client, driving))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::time::Duration;

    use golock_core::StoreErrorKind;
    use tokio_postgres::config::{SslMode, TargetSessionAttrs};

    use super::parse;

    const WITHIN: Duration = Duration::from_secs(6);

    #[test]
    fn nothing_of_a_wrong_url_is_repeated() {
        for url in [
            "postgres://user:pass@host:secret/database",
            "postgres://user:secret@host/database?cret=1",
            "user=user password='secret",
            "mysql://user:secret@host",
        ] {
            let error = parse(url, WITHIN).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Configuration);
            let said = format!("{error} {error:?} {}", error.source().unwrap());
            assert!(!said.contains("cret"), "{said}");
        }
    }

    #[test]
    fn a_wrong_option_is_named() {
        let error = parse("postgres://user:secret@host?sslmode=perhaps", WITHIN).unwrap_err();
        assert!(error.source().unwrap().to_string().contains("sslmode"));
        let error = parse("postgres://user:secret@host?sslcrl=ca.pem", WITHIN).unwrap_err();
        assert!(error.source().unwrap().to_string().contains("does not know"));
    }

    #[test]
    fn a_socket_of_this_machine_has_no_tls() {
        for text in [
            "host=/var/run/postgresql user=user sslrootcert=/no/such/ca.pem",
            "postgres://user@%2Fvar%2Frun%2Fpostgresql/database?sslmode=verify-full",
        ] {
            let server = parse(text, WITHIN).unwrap();
            assert!(server.get_ssl_mode() == SslMode::Disable && server.certificates.authorities.is_none());
        }
    }

    #[test]
    fn tls_is_as_the_options_of_libpq_say() {
        for (options, mode, authorities) in [
            ("", SslMode::Prefer, None),
            ("sslmode=disable", SslMode::Disable, None),
            ("sslmode=prefer", SslMode::Prefer, None),
            ("sslmode=require", SslMode::Require, None),
            ("sslmode=verify-ca", SslMode::Require, None),
            ("sslmode=verify-full", SslMode::Require, None),
            ("sslrootcert=system", SslMode::Require, None),
            ("sslrootcert=ca.pem", SslMode::Require, Some("ca.pem")),
            ("sslmode=prefer&sslrootcert=ca.pem", SslMode::Require, Some("ca.pem")),
            ("sslmode=verify-ca&sslrootcert=ca.pem", SslMode::Require, Some("ca.pem")),
            ("sslcert=me.pem&sslkey=my.key", SslMode::Prefer, None),
        ] {
            for text in [
                format!("postgres://user@host/database?{options}"),
                format!("host=host user=user {}", options.replace('&', " ")),
            ] {
                let server = parse(&text, WITHIN).unwrap();
                assert_eq!(server.get_ssl_mode(), mode, "{text}");
                let named = server.certificates.authorities.as_ref().map(ToString::to_string);
                assert_eq!(
                    named,
                    authorities.map(|file| format!("the file of sslrootcert ({file:?})")),
                    "{text}"
                );
                assert_eq!(server.certificates.own.is_some(), text.contains("sslcert="), "{text}");
            }
        }
    }

    #[test]
    fn mode_that_only_the_driver_can_read_is_kept() {
        for (options, mode) in [
            ("ssl%6Dode=require", SslMode::Require),
            ("ssl%6Dode=disable", SslMode::Disable),
            ("ssl%6Dode=disable&sslrootcert=ca.pem", SslMode::Require),
        ] {
            let server = parse(&format!("postgres://user@host?{options}"), WITHIN).unwrap();
            assert_eq!(server.get_ssl_mode(), mode, "{options}");
        }
        for options in ["ssl%6Dode=verify-full", "ssl%72ootcert=ca.pem"] {
            parse(&format!("postgres://user@host?{options}"), WITHIN).unwrap_err();
        }
    }

    #[test]
    fn options_of_tls_that_do_not_fit_together_are_refused_by_name() {
        for (options, named) in [
            ("sslcert=me.pem", "sslkey"),
            ("sslkey=my.key", "sslcert"),
            ("sslmode=allow", "sslmode"),
            ("sslmode=verify", "sslmode"),
            ("sslmode=", "sslmode"),
            ("sslmode=disable&sslrootcert=ca.pem", "sslrootcert"),
            ("sslmode=disable&sslrootcert=system", "sslrootcert"),
            ("sslmode=disable&sslcert=me.pem&sslkey=my.key", "sslcert"),
            ("sslrootcert=%FF", "sslrootcert"),
        ] {
            let error = parse(&format!("postgres://user:secret@host?{options}"), WITHIN).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Configuration, "{options}");
            let said = error.source().unwrap().to_string();
            assert!(said.contains(named) && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn a_server_that_allows_writes_is_asked_for() {
        let config = parse("postgres://user@host", WITHIN).unwrap();
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(config.get_application_name(), Some("golock"));
    }

    #[test]
    fn a_host_that_swallows_packets_leaves_time_for_the_others() {
        let timeout = |url| parse(url, WITHIN).unwrap().get_connect_timeout().copied();
        assert_eq!(timeout("postgres://user@one"), Some(WITHIN / 2));
        assert_eq!(timeout("postgres://user@one,two/database"), Some(WITHIN / 3));
        assert_eq!(timeout("postgres://user@one?connect_timeout=1"), Some(Duration::from_secs(1)));
    }
}
