//! Setting up a store.

use std::time::Duration;

use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mongodb::options::ClientOptions;

use crate::MongoStore;
use crate::error::failure;
use crate::options;
use crate::server::{Place, Server};
use crate::session::Session;

/// Sets up a [`MongoStore`]: [`MongoStore::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct MongoStoreBuilder {
    database: Option<String>,
    collection: String,
    request_timeout: Duration,
}

impl MongoStoreBuilder {
    /// The database when neither the builder nor the URL names one.
    pub const DEFAULT_DATABASE: &'static str = "golock";
    /// The collection when nothing else is said.
    pub const DEFAULT_COLLECTION: &'static str = "golock";
    /// How long a command may run when nothing else is said: 5 s.
    pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

    pub(crate) fn new() -> Self {
        Self {
            database: None,
            collection: Self::DEFAULT_COLLECTION.to_owned(),
            request_timeout: Self::DEFAULT_REQUEST_TIMEOUT,
        }
    }

    /// The database. Default: the one that the URL (or `default_database` of the options) names, or else `golock`.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// The collection. Default: `golock`. Stores over the same collection share their locks, those over different
    /// ones share none. MongoDB makes it at the first write.
    pub fn collection(mut self, collection: impl Into<String>) -> Self {
        self.collection = collection.into();
        self
    }

    /// How long a command may run: 1 ms and more. Default: 5 s. The server ends it after this time (`maxTimeMS`), and
    /// so the wait for a majority (`wtimeout`); finding a server may take three quarters of it, and connecting as long.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// A store over a client of its own, made by `options`: the addresses, credentials, TLS and pool size that an
    /// application has for its own [`Client`](mongodb::Client). One connection is opened before this returns.
    ///
    /// It takes the options and not a `Client`, for a client doesn't tell its options, and no connection of the
    /// application's is used: renewals must not wait until its queries and change streams give one back. Of the
    /// options, read and write concern, read preference and retries are replaced by those that locks need;
    /// `server_selection_timeout` is three quarters of the request timeout at most, `connect_timeout` no more than it, and
    /// `min_pool_size` is not used;
    /// `max_pool_size` (10 by default) bounds what acquires use, beside a few connections for everything else.
    ///
    /// # Errors
    /// [`StoreError`]: transient if the server could not be reached in time;
    /// [`StoreErrorKind::Configuration`] if a name is none that MongoDB can have.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened. Nothing was written.
    pub async fn build(self, options: ClientOptions) -> Result<MongoStore, StoreError> {
        let database = self.database_or(options.default_database.as_deref())?;
        let store = self.over(Place::Options(Box::new(options)), database)?;
        store.ready().await?;
        Ok(store)
    }

    /// A store over a client of its own to the servers at `url`: `mongodb://user:password@host:27017/database`, or
    /// `mongodb+srv://…`, with the options of MongoDB's connection strings; see [`build`](Self::build) for those that
    /// are replaced. One connection is opened before this returns.
    ///
    /// # Errors
    /// [`StoreError`]: transient if the server could not be reached in time.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened. Nothing was written.
    pub async fn connect(self, url: &str) -> Result<MongoStore, StoreError> {
        let store = self.connect_lazy(url)?;
        store.ready().await?;
        Ok(store)
    }

    /// As [`connect`](Self::connect), but opens nothing yet: the first call of a lock does. So a service can start while its
    /// database is down, and hears of it when it locks. Until the server was looked at, the store says that it will push; where
    /// it turns out to be no replica set, waiters ask again and again, as they do over a store that knew.
    ///
    /// # Errors
    /// [`StoreErrorKind::Configuration`] if the URL, or something that was set, can't be right.
    pub fn connect_lazy(self, url: &str) -> Result<MongoStore, StoreError> {
        let url = options::read(url)?;
        let database = self.database_or(url.default_database.as_deref())?;
        self.over(Place::Url(Box::new(url)), database)
    }

    fn over(self, place: Place, database: String) -> Result<MongoStore, StoreError> {
        let server = Server::new(place, database, self.request_timeout);
        MongoStore::over(Session::new(server, self.collection))
    }

    /// The database: the builder's, or else `default`. An error if its name, or the collection's, can't be.
    fn database_or(&self, default: Option<&str>) -> Result<String, StoreError> {
        let database = self.database.as_deref().or(default).unwrap_or(Self::DEFAULT_DATABASE);
        if is_database(database) && is_collection(database, &self.collection) {
            return Ok(database.to_owned());
        }
        let why =
            "a database has 1 to 63 bytes without /\\. \"$, a collection 1 to 255 with it and without $";
        Err(failure(Operation::Connect, StoreErrorKind::Configuration, why))
    }
}

fn is_database(name: &str) -> bool {
    (1..=63).contains(&name.len()) && !name.contains(['/', '\\', '.', ' ', '"', '$', '\0'])
}

/// The server's limit is on the two names together, with a dot between them.
fn is_collection(database: &str, name: &str) -> bool {
    (1..=255 - 1 - database.len()).contains(&name.len())
        && !name.contains(['$', '\0'])
        && !name.starts_with("system.")
        && !name.starts_with('.')
        && !name.ends_with('.')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use golock_core::store::ListRequest;
    use golock_core::{LockStore, StoreErrorKind};

    use super::{is_collection, is_database};
    use crate::MongoStore;

    #[test]
    fn names_that_mongodb_can_not_have_are_told() {
        assert!(is_database("golock") && is_collection("golock", "my.own-locks"));
        for name in ["", "a/b", "a.b", "a b", "a$b", "a\0b", &"x".repeat(64)] {
            assert!(!is_database(name), "{name:?}");
        }
        for name in ["", "a$b", "a\0b", "system.views", ".a", "a.", &"x".repeat(249)] {
            assert!(!is_collection("golock", name), "{name:?}");
        }
        assert!(is_collection("golock", &"x".repeat(248)));
    }

    /// That host does not exist: whoever looked it up would say so.
    #[test]
    fn what_cannot_be_is_refused_before_a_host_is_looked_up() {
        let builder = MongoStore::builder;
        for (wrong, url) in [
            (builder().collection("a$b"), "mongodb+srv://golock.invalid/app"),
            (builder(), "mongodb+srv://golock.invalid/a%24b"),
            (builder(), "mongodb+srv://golock.invalid/?tls=perhaps"),
            (builder(), "secret"),
        ] {
            assert_eq!(wrong.connect_lazy(url).unwrap_err().kind(), StoreErrorKind::Configuration, "{url}");
        }
    }

    #[tokio::test]
    async fn lazy_store_opens_nothing_before_its_first_call() {
        const NOBODY: &str = "mongodb://user:secret@127.0.0.1:1/database";
        let builder = || MongoStore::builder().collection("locks").request_timeout(Duration::from_millis(50));
        let store = builder().connect_lazy(NOBODY).unwrap();
        assert!(
            store.schema().contains(r#"getSiblingDB("database").createCollection("locks""#),
            "{}",
            store.schema()
        );
        assert!(store.capabilities().wakeups, "it will listen");
        let refused = store.ready().await.unwrap_err();
        assert!(refused.is_transient() && refused.took_no_effect(), "{refused:?}");
        let request = ListRequest::new("", 1);
        let refused = store.list(&request).await.unwrap_err();
        assert!(refused.is_transient() && refused.took_no_effect(), "and so is its first call: {refused:?}");
    }
}
