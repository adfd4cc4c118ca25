//! From a URL, or the application's options, to those of a client that locks can rely on.

use std::time::Duration;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mongodb::error::{Error as DriverError, ErrorKind};
use mongodb::options::{ClientOptions, ConnectionString, Tls};

use crate::error::{call_failed, failure};

/// How many connections a driver's pool has if nobody says otherwise.
const DEFAULT_POOL_SIZE: u32 = 10;

/// How soon a server has to answer that is asked whether it speaks without TLS.
pub(crate) const PLAIN_WITHIN: Duration = Duration::from_secs(2);

/// The options that a URL stands for. The host of a `mongodb+srv` URL is looked up.
pub(crate) async fn parse(url: ConnectionString) -> Result<ClientOptions, StoreError> {
    ClientOptions::parse(url).await.map_err(|error| match &*error.kind {
        // The name of the host that a `mongodb+srv` URL names could not be resolved.
        ErrorKind::DnsResolve { .. } => call_failed(Operation::Connect, error),
        _ => wrong(&error),
    })
}

/// What a URL says by itself.
pub(crate) fn read(url: &str) -> Result<ConnectionString, StoreError> {
    ConnectionString::parse(url).map_err(|error| wrong(&error))
}

fn wrong(error: &DriverError) -> StoreError {
    failure(Operation::Connect, StoreErrorKind::Configuration, what_is_wrong(error))
}

/// The options of the store's own client: how many connections acquires may use, and what is left of the
/// application's options.
pub(crate) fn ours(mut options: ClientOptions, limit: Duration, others: u32) -> (ClientOptions, u32) {
    let acquiring = options.max_pool_size.filter(|size| *size > 0).unwrap_or(DEFAULT_POOL_SIZE);
    options.max_pool_size = Some(acquiring.saturating_add(others));
    options.min_pool_size = None;
    // So that there is time left to say what is wrong: whoever asks gives up after the whole of it.
    let selection = limit / 4 * 3;
    options.server_selection_timeout =
        Some(options.server_selection_timeout.map_or(selection, |time| time.min(selection)));
    options.connect_timeout = Some(options.connect_timeout.map_or(limit, |time| time.min(limit)));
    options.app_name.get_or_insert_with(|| "golock".to_owned());
    // Each command names its own concerns, and goes to the primary.
    options.write_concern = None;
    options.read_concern = None;
    options.selection_criteria = None;
    // A command is sent once. Whoever repeats it is the engine, which knows what may have become of it.
    options.retry_writes = Some(false);
    options.retry_reads = Some(false);
    (options, acquiring)
}

/// For options with TLS, some by which to find out that the server has none: it hangs up or says nothing, as one that is
/// gone would. Without credentials, which go to nobody in the clear.
pub(crate) fn without_tls(options: &ClientOptions) -> Option<ClientOptions> {
    let has_tls = matches!(options.tls, Some(Tls::Enabled(_)));
    has_tls.then(|| {
        let mut plain = options.clone();
        plain.tls = None;
        plain.credential = None;
        plain.server_selection_timeout =
            plain.server_selection_timeout.map(|limit| (limit / 6).min(PLAIN_WITHIN));
        plain
    })
}

/// The parser's own words may repeat a piece of the URL, and with it of the password. An option's name doesn't.
fn what_is_wrong(error: &DriverError) -> String {
    let said = error.kind.to_string();
    let option = said.split_once("connection string `").and_then(|(_, rest)| rest.split_once('`'));
    match option {
        Some((option, _)) if option.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            format!("the URL has an invalid value for option `{option}`")
        }
        _ => "the URL is not one of MongoDB: mongodb://user:password@host:27017/database?option=value"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::time::Duration;

    use golock_core::StoreErrorKind;

    use golock_core::StoreError;
    use mongodb::options::ClientOptions;

    use super::{ours, read};

    async fn parse(url: &str) -> Result<ClientOptions, StoreError> {
        super::parse(read(url)?).await
    }

    #[tokio::test]
    async fn nothing_of_a_wrong_url_is_repeated() {
        for url in [
            "mongodb://user:se/cret@host/database",
            "mongodb://user:se:cret@host/database",
            "mongodb://user:secret@host:cret/database",
            "mongodb://user:secret@host/database?cret",
            "mongodb://user:secret@host/database?cret=1&cret=1",
            "mongodb://user:secret@host/database?authMechanism=cret",
            "postgres://user:secret@host",
            "secret",
        ] {
            let error = parse(url).await.expect_err(url);
            assert_eq!(error.kind(), StoreErrorKind::Configuration, "{url}");
            let said = format!("{error} {error:?} {}", error.source().unwrap());
            assert!(!said.contains("cret"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_wrong_option_is_named() {
        let error = parse("mongodb://user:secret@host/?tls=perhaps").await.unwrap_err();
        assert!(error.source().unwrap().to_string().contains("`tls`"), "{error:?}");
    }

    #[tokio::test]
    async fn what_locks_rely_on_is_not_left_to_the_url() {
        let url = "mongodb://host/?w=1&readPreference=secondary&readConcernLevel=available&retryWrites=true\
                   &maxPoolSize=3&serverSelectionTimeoutMS=60000&connectTimeoutMS=100";
        let (options, acquiring) = ours(parse(url).await.unwrap(), Duration::from_secs(5), 2);
        assert_eq!((acquiring, options.max_pool_size), (3, Some(5)));
        assert_eq!(options.server_selection_timeout, Some(Duration::from_millis(3_750)));
        assert_eq!(options.connect_timeout, Some(Duration::from_millis(100)));
        assert!(options.write_concern.is_none() && options.read_concern.is_none());
        assert!(options.selection_criteria.is_none());
        assert_eq!((options.retry_writes, options.retry_reads), (Some(false), Some(false)));
    }
}
