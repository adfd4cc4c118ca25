//! Which store: the URL, the one table of its schemes, and the file that is used when there is none.

mod builders;
mod own;
mod site;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use golock_conformance::BoxError;
use golock_core::{Error, LockStore, Locker};

use crate::doctor::{self, Findings};
use crate::failure::{CONFIGURATION, Failure};
use crate::verify::{self, Ground};

pub(crate) use self::site::Site;

/// A store, by a URL whose scheme is known.
pub(crate) struct Store {
    site: Site,
    /// Where the file of this user's own is, if that is the store.
    own_directory: Option<PathBuf>,
    backend: Backend,
}

/// What becomes of a table that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// It is made, as services do.
    Create,
    /// Whoever asks is told.
    Tell,
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
    /// A store that nothing was opened for: the URL and the name are such as they may be.
    unopened: fn(&Site) -> Result<Arc<dyn LockStore>, Error>,
    connect: for<'a> fn(&'a Site, bool) -> BoxFuture<'a, Result<Locker, Error>>,
    ground: fn(&str) -> Box<dyn Ground>,
    has_table: for<'a> fn(&'a Site) -> BoxFuture<'a, Result<bool, BoxError>>,
    examine: for<'a> fn(&'a Site, &'a mut Findings) -> BoxFuture<'a, Result<bool, BoxError>>,
}

/// The parts of a backend, if its feature is on.
macro_rules! parts {
    ($module:ident, $feature:literal) => {{
        #[cfg(feature = $feature)]
        let parts = Some(Parts {
            unopened: |site| Ok(Arc::new(builders::$module(site, true).connect_lazy(&site.url)?)),
            connect: |site, create_table| {
                let builder = builders::$module(site, create_table);
                async move { Ok(Locker::new(builder.connect(&site.url).await?)) }.boxed()
            },
            ground: verify::$module::ground,
            has_table: |site| doctor::$module::has_table(site).boxed(),
            examine: |site, findings| doctor::$module::examine(site, findings).boxed(),
        });
        #[cfg(not(feature = $feature))]
        let parts = None;
        parts
    }};
}

fn backends() -> [Backend; 6] {
    let row = |schemes, feature, parts| Backend { schemes, feature, parts };
    [
        row(&["sqlite"], "sqlite", parts!(sqlite, "sqlite")),
        row(&["redis", "rediss", "valkey", "valkeys"], "redis", parts!(redis, "redis")),
        row(&["postgres", "postgresql"], "postgres", parts!(postgres, "postgres")),
        row(&["mysql", MARIADB], "mysql", parts!(mysql, "mysql")),
        row(&["mongodb", "mongodb+srv"], "mongo", parts!(mongo, "mongo")),
        row(&["mssql"], "mssql", parts!(mssql, "mssql")),
    ]
}

/// Its driver knows it by the name of `mysql` only.
const MARIADB: &str = "mariadb";

impl Store {
    /// The store at `url`, or the file of this user; its locks are in `table`, or in the default one.
    ///
    /// # Errors
    /// The URL is of no backend that is known.
    pub(crate) fn at(url: Option<String>, table: Option<String>) -> Result<Self, Failure> {
        let (url, own_directory) = match url {
            Some(url) => (as_its_driver_has_it(url), None),
            None => {
                let directory = own::directory()?;
                (own::url(&directory)?, Some(directory))
            }
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
        let site = Site { url, table, is_own: own_directory.is_some() };
        Ok(Self { site, own_directory, backend: *backend })
    }

    /// What it is called in messages.
    pub(crate) fn backend(&self) -> &'static str {
        self.backend.feature
    }

    /// It is the file of this user.
    pub(crate) fn is_own(&self) -> bool {
        self.site.is_own
    }

    /// The table, if one was named.
    pub(crate) fn table(&self) -> Option<&str> {
        self.site.table.as_deref()
    }

    /// Connects, for whoever only looks at locks. `None`: there is no table, and so no lock. None is created.
    ///
    /// # Errors
    /// The store can't be reached, does not let this user in, or has another table than golock's there.
    pub(crate) async fn look(&self) -> Result<Option<Locker>, Failure> {
        match self.connect(IfMissing::Tell).await {
            Err(failure) if failure.is_schema_missing() => match self.has_table().await {
                false => Ok(None),
                // It is another than golock's; or it was created just now.
                true => self.connect(IfMissing::Tell).await.map(Some),
            },
            outcome => outcome.map(Some),
        }
    }

    /// Whether there is a table, or that can't be found out.
    async fn has_table(&self) -> bool {
        match self.backend.parts {
            Some(parts) => (parts.has_table)(&self.site).await.unwrap_or(true),
            None => true,
        }
    }

    /// Connects, for whoever locks or ends locks.
    ///
    /// # Errors
    /// The store can't be reached, does not let this user in, or does not have the table, if none is to be created.
    pub(crate) async fn connect(&self, if_missing: IfMissing) -> Result<Locker, Failure> {
        let creates = if_missing == IfMissing::Create;
        if creates {
            self.make_own_directory()?;
        }
        Ok((self.parts()?.connect)(&self.site, creates).await?)
    }

    /// Opens nothing, and finds out whether the URL and the name are such as they may be.
    ///
    /// # Errors
    /// They are not, or this golock was built without the backend.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        (self.parts()?.unopened)(&self.site)?;
        Ok(())
    }

    /// The backend, and what an administrator runs for it. Nothing is opened or created.
    ///
    /// # Errors
    /// The URL or the name is none that can be.
    pub(crate) fn schema(&self) -> Result<(&'static str, String), Failure> {
        let store = (self.parts()?.unopened)(&self.site)?;
        Ok((store.capabilities().backend, store.schema()))
    }

    /// Where the suite may work.
    ///
    /// # Errors
    /// This golock was built without the backend.
    pub(crate) fn ground(&self) -> Result<Box<dyn Ground>, Failure> {
        self.make_own_directory()?;
        Ok((self.parts()?.ground)(&self.site.url))
    }

    /// Looks at the server itself, and creates nothing: whether the table is there.
    ///
    /// # Errors
    /// It can't be reached.
    pub(crate) async fn examine(&self, findings: &mut Findings) -> Result<bool, Failure> {
        let examined = (self.parts()?.examine)(&self.site, findings).await;
        examined.map_err(|error| Failure::from_box(&error))
    }

    fn parts(&self) -> Result<Parts, Failure> {
        let feature = self.backend.feature;
        let left_out =
            || Failure::new(CONFIGURATION, format!("this golock was built without the feature {feature}"));
        self.backend.parts.ok_or_else(left_out)
    }

    fn make_own_directory(&self) -> Result<(), Failure> {
        let Some(directory) = &self.own_directory else { return Ok(()) };
        // What can't be is told before anything is done.
        self.check()?;
        own::make(directory)
    }
}

fn as_its_driver_has_it(url: String) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(MARIADB) => format!("mysql://{rest}"),
        _ => url,
    }
}

#[cfg(test)]
mod tests {
    use super::Store;

    #[test]
    fn every_scheme_that_is_promised_is_known() {
        for scheme in [
            "redis",
            "rediss",
            "redis-cluster",
            "postgres",
            "mysql",
            "mariadb",
            "mongodb",
            "mongodb+srv",
            "mssql",
            "sqlite",
        ] {
            assert!(Store::at(Some(format!("{scheme}://host/x")), None).is_ok(), "{scheme}");
        }
    }

    #[test]
    fn mariadb_is_mysql_to_its_driver() {
        for (url, as_it_has_it) in [
            ("mariadb://me:se:c@host/db?mariadb://", "mysql://me:se:c@host/db?mariadb://"),
            ("MariaDB://host/db", "mysql://host/db"),
            ("postgres://mariadb:mariadb@mariadb/mariadb", "postgres://mariadb:mariadb@mariadb/mariadb"),
        ] {
            let store = Store::at(Some(url.to_owned()), None).unwrap();
            assert_eq!(store.site.url, as_it_has_it);
        }
    }

    #[test]
    fn nothing_of_a_wrong_url_is_repeated() {
        for url in ["secret", "secret://secret@secret", "redissecret://", ""] {
            let failure = Store::at(Some(url.to_owned()), None).map(drop).unwrap_err();
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
    }
}
