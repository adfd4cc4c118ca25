//! Which store: the URL, the one table of its schemes, and the file that is used when there is none.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use golock_conformance::BoxError;
use golock_core::{Error, Locker};

use crate::doctor::{self, Findings};
use crate::failure::{CONFIGURATION, Failure};
use crate::verify::{self, Ground};

/// A store, by a URL whose scheme is known. It may contain a password, so it is never shown.
pub(crate) struct Store {
    url: String,
    backend: Backend,
}

/// What a scheme stands for.
#[derive(Clone, Copy)]
struct Backend {
    schemes: &'static [&'static str],
    /// The feature of this crate.
    feature: &'static str,
    /// `None`: this golock was built without it.
    parts: Option<Parts>,
}

/// What golock does with a backend.
#[derive(Clone, Copy)]
struct Parts {
    connect: for<'a> fn(&'a str) -> BoxFuture<'a, Result<Locker, Error>>,
    ground: fn(&str) -> Box<dyn Ground>,
    examine: for<'a> fn(&'a str, &'a mut Findings) -> BoxFuture<'a, Result<(), BoxError>>,
}

/// The parts of a backend, if its feature is on.
macro_rules! parts {
    ($backend:ident, $module:ident, $feature:literal) => {{
        #[cfg(feature = $feature)]
        let parts = Some(Parts {
            connect: |url| $backend::connect(url).boxed(),
            ground: verify::$module::ground,
            examine: |url, findings| doctor::$module::examine(url, findings).boxed(),
        });
        #[cfg(not(feature = $feature))]
        let parts = None;
        parts
    }};
}

fn backends() -> [Backend; 6] {
    let row = |schemes, feature, parts| Backend { schemes, feature, parts };
    [
        row(&["sqlite"], "sqlite", parts!(golock_sqlite, sqlite, "sqlite")),
        row(&["redis", "rediss", "valkey", "valkeys"], "redis", parts!(golock_redis, redis, "redis")),
        row(&["postgres", "postgresql"], "postgres", parts!(golock_postgres, postgres, "postgres")),
        row(&["mysql"], "mysql", parts!(golock_mysql, mysql, "mysql")),
        row(&["mongodb", "mongodb+srv"], "mongo", parts!(golock_mongo, mongo, "mongo")),
        row(&["mssql"], "mssql", parts!(golock_mssql, mssql, "mssql")),
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
        Ok((self.parts()?.connect)(&self.url).await?)
    }

    /// Where the suite may work.
    ///
    /// # Errors
    /// This golock was built without the backend.
    pub(crate) fn ground(&self) -> Result<Box<dyn Ground>, Failure> {
        Ok((self.parts()?.ground)(&self.url))
    }

    /// Looks at the server itself.
    ///
    /// # Errors
    /// It can't be reached.
    pub(crate) async fn examine(&self, findings: &mut Findings) -> Result<(), Failure> {
        (self.parts()?.examine)(&self.url, findings).await.map_err(|error| Failure::from_box(&error))
    }

    fn parts(&self) -> Result<Parts, Failure> {
        let feature = self.backend.feature;
        let left_out =
            || Failure::new(CONFIGURATION, format!("this golock was built without the feature {feature}"));
        self.backend.parts.ok_or_else(left_out)
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

/// The path in a URL that golock-sqlite has accepted.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite_path(url: &str) -> PathBuf {
    let path = url.split_once("://").map_or(url, |(_, path)| path);
    PathBuf::from(&*percent_encoding::percent_decode_str(path).decode_utf8_lossy())
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
