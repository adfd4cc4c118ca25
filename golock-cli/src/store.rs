//! Which store: the URL, the one table of its schemes, and the file that is used when there is none.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use golock_core::{Error, Locker};

use crate::failure::{CONFIGURATION, Failure};

/// A store, by a URL whose scheme is known. It may contain a password, so it is never shown.
pub(crate) struct Store {
    url: String,
    backend: Backend,
}

/// What a scheme stands for.
#[derive(Clone, Copy)]
pub(crate) struct Backend {
    schemes: &'static [&'static str],
    /// The feature of this crate.
    feature: &'static str,
    /// `None`: this golock was built without it.
    connect: Option<Connect>,
}

type Connect = fn(&str) -> BoxFuture<'_, Result<Locker, Error>>;

/// `connect` of a backend crate, if its feature is on.
macro_rules! connect {
    ($backend:ident, $feature:literal) => {{
        #[cfg(feature = $feature)]
        let connect: Option<Connect> = Some(|url| $backend::connect(url).boxed());
        #[cfg(not(feature = $feature))]
        let connect: Option<Connect> = None;
        connect
    }};
}

fn backends() -> [Backend; 6] {
    let row = |schemes, feature, connect| Backend { schemes, feature, connect };
    [
        row(&["sqlite"], "sqlite", connect!(golock_sqlite, "sqlite")),
        row(&["redis", "rediss", "valkey", "valkeys"], "redis", connect!(golock_redis, "redis")),
        row(&["postgres", "postgresql"], "postgres", connect!(golock_postgres, "postgres")),
        row(&["mysql"], "mysql", connect!(golock_mysql, "mysql")),
        row(&["mongodb", "mongodb+srv"], "mongo", connect!(golock_mongo, "mongo")),
        row(&["mssql"], "mssql", connect!(golock_mssql, "mssql")),
    ]
}

impl Store {
    /// The store at `url`, or the file of this user.
    ///
    /// # Errors
    /// The URL is of no backend that is known, or that this golock was built with.
    pub(crate) fn at(url: Option<String>) -> Result<Self, Failure> {
        let url = match url {
            Some(url) => url,
            None => own_file()?,
        };
        // Nothing of a wrong URL is repeated: it may be a piece of a password.
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        // `redis-cluster` is of `redis`.
        let scheme = scheme.as_deref().map(|scheme| scheme.split('-').next().unwrap_or(scheme));
        let known = backends();
        let Some(backend) =
            known.iter().find(|backend| backend.schemes.iter().any(|one| Some(*one) == scheme))
        else {
            let schemes: Vec<_> = known.iter().flat_map(|backend| backend.schemes).copied().collect();
            let schemes = schemes.join(":// ");
            return Err(Failure::usage(format!("--store wants a URL that begins with one of {schemes}://")));
        };
        Ok(Self { url, backend: *backend })
    }

    /// # Errors
    /// The store can't be reached, or does not let this user in.
    pub(crate) async fn connect(&self) -> Result<Locker, Failure> {
        let Some(connect) = self.backend.connect else { return Err(self.left_out()) };
        Ok(connect(&self.url).await?)
    }

    fn left_out(&self) -> Failure {
        let feature = self.backend.feature;
        Failure::new(CONFIGURATION, format!("this golock was built without the feature {feature}"))
    }
}

/// `golock/locks.db` in the user's state directory, which is created.
fn own_file() -> Result<String, Failure> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(absolute);
    let home = || env::home_dir().filter(absolute).map(|home| home.join(".local/state"));
    let Some(directory) = state.or_else(home).map(|state| state.join("golock")) else {
        return Err(Failure::usage("no --store is named, and this user has no home directory for one"));
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| {
        Failure::new(CONFIGURATION, format!("no directory {} for the store: {error}", directory.display()))
    })?;
    let file = directory.join("locks.db");
    match file.to_str() {
        Some(file) => Ok(format!("sqlite://{}", encoded(file))),
        None => Err(Failure::usage(format!("{} is no path in UTF-8: name a --store", file.display()))),
    }
}

/// A path in a URL.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Store, encoded};

    #[test]
    fn every_scheme_that_is_promised_is_known() {
        for scheme in [
            "redis",
            "rediss",
            "redis-cluster",
            "postgres",
            "mysql",
            "mongodb",
            "mongodb+srv",
            "mssql",
            "sqlite",
        ] {
            assert!(Store::at(Some(format!("{scheme}://host/x"))).is_ok(), "{scheme}");
        }
    }

    #[test]
    fn nothing_of_a_wrong_url_is_repeated() {
        for url in ["secret", "secret://secret@secret", "redissecret://", ""] {
            let failure = Store::at(Some(url.to_owned())).map(drop).unwrap_err();
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
    }

    #[test]
    fn paths_are_encoded() {
        assert_eq!(encoded("/home/a b/?#%"), "/home/a%20b/%3F%23%25");
    }
}
