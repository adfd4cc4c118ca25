//! The suite of golock-conformance over MongoDB.

#![allow(clippy::unwrap_used, reason = "a URL that is none is a failed test")]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use golock_conformance::servers::{self, Server};
use golock_conformance::{
    Abilities, Application, BoxError, Damage, Fault, Fixture, Guard, Misconfigured, PoolOfOne, Restart,
    RowLock, Sessions, SmallPool, Through, async_trait,
};
use golock_core::{FencingToken, LockName, LockStore};
use golock_mongo::MongoStore;
use golock_mongo::mongodb::bson::{Document, doc};
use golock_mongo::mongodb::options::ClientOptions;
use golock_mongo::mongodb::{Client, Collection};
use tokio::task::JoinHandle;

mod server;

fn main() -> ExitCode {
    golock_conformance::main(vec![servers::target("mongo", server::ready, Mongo)])
}

struct Mongo(Server);

impl Mongo {
    async fn client(&self) -> Result<Client, BoxError> {
        Ok(Client::with_uri_str(self.0.url()).await?)
    }

    async fn rows(&self, space: &str) -> Result<Collection<Document>, BoxError> {
        Ok(self.client().await?.database(server::DATABASE).collection(space))
    }

    async fn store_at(&self, space: &str, url: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(MongoStore::builder().database(server::DATABASE).collection(space).connect(url).await?))
    }
}

#[async_trait]
impl Fixture for Mongo {
    fn name(&self) -> &str {
        self.0.id()
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        self.store_at(space, self.0.url()).await
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities {
            damage: Ok(self),
            row_lock: Ok(self),
            connections: Err("MongoDB ends no client's connections on command"),
            small_pool: Ok(self),
            sessions: Ok(self),
            wrong_password: Ok(self),
            schema_missing: Err("MongoDB makes a collection at its first write"),
            no_permission: Ok(self),
            tls_refused: Ok(self),
            purge_counts: Ok(()),
            through: Ok(self),
            restart: self.0.can_restart().map(|()| self as _),
        }
    }
}

#[async_trait]
impl Damage for Mongo {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.rows(space).await?.delete_one(doc! { "_id": name.as_str() }).await?;
        Ok(())
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.rows(space).await?.delete_many(doc! {}).await?;
        Ok(())
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        let set = doc! { "$set": { "token": token.get() } };
        self.rows(space).await?.update_one(doc! { "_id": name.as_str() }, set).await?;
        Ok(())
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        Ok(self.rows(space).await?.drop().await?)
    }
}

#[async_trait]
impl RowLock for Mongo {
    async fn lock_row(&self, space: &str, name: &LockName) -> Result<Guard, BoxError> {
        let rows = self.rows(space).await?;
        let mut session = rows.client().start_session().await?;
        session.start_transaction().await?;
        let touch = doc! { "$set": { "touched": true } };
        let touched = rows.update_one(doc! { "_id": name.as_str() }, touch).session(&mut session).await?;
        if touched.matched_count != 1 {
            return Err(format!("there is no row {name:?}").into());
        }
        // Dropping the session aborts its transaction.
        Ok(Box::new(session))
    }
}

#[async_trait]
impl Restart for Mongo {
    async fn restart(&self) -> Result<(), BoxError> {
        self.0.restart().await
    }
}

#[async_trait]
impl Through for Mongo {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn store_through(&self, space: &str, address: SocketAddr) -> Result<Arc<dyn LockStore>, BoxError> {
        // The driver's own questions to the server, in between, would be counted and lost as well.
        let quiet = "heartbeatFrequencyMS=600000&serverMonitoringMode=poll";
        self.store_at(space, &server::url_with(&server::url_at(self.0.url(), address), quiet)).await
    }
}

#[async_trait]
impl SmallPool for Mongo {
    async fn pool_of_one(&self, space: &str) -> Result<PoolOfOne, BoxError> {
        let options = ClientOptions::parse(server::url_with(self.0.url(), "maxPoolSize=1")).await?;
        let builder = MongoStore::builder().database(server::DATABASE).collection(space);
        let store = builder.build(options.clone()).await?;
        let application = OwnClient(Client::with_options(options)?);
        Ok(PoolOfOne { store: Arc::new(store), application: Box::new(application) })
    }
}

struct OwnClient(Client);

#[async_trait]
impl Application for OwnClient {
    /// By a change stream, which waits on a connection for what does not come.
    async fn take_connection(&self) -> Result<Guard, BoxError> {
        let nothing = self.0.database(&server::unique("nothing"));
        let mut changes = nothing.watch().max_await_time(Duration::from_secs(60)).await?;
        let waiting = tokio::spawn(async move { while let Some(Ok(_)) = changes.next().await {} });
        Ok(Box::new(Aborted(waiting)))
    }
}

/// A task that ends when this is dropped.
struct Aborted(JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Sessions for Mongo {
    fn settings(&self) -> Vec<&'static str> {
        vec![
            "w=0",
            "w=1",
            "journal=false",
            "wtimeoutMS=1",
            "readConcernLevel=available",
            "readConcernLevel=linearizable",
            "readPreference=secondary",
            "readPreference=nearest",
            "retryWrites=true",
            "retryReads=true",
            "retryWrites=false",
            "minPoolSize=20",
            "maxPoolSize=1",
            "maxIdleTimeMS=1",
        ]
    }

    async fn store_with(&self, space: &str, setting: &'static str) -> Result<Arc<dyn LockStore>, BoxError> {
        self.store_at(space, &server::url_with(self.0.url(), setting)).await
    }
}

#[async_trait]
impl Misconfigured for Mongo {
    async fn misconfigured(&self, fault: Fault) -> Result<Arc<dyn LockStore>, BoxError> {
        let [wrong, right] = [&self.secrets()[0], &self.secrets()[1]];
        let url = match fault {
            Fault::WrongPassword => server::url_as(self.0.url(), "root", wrong),
            Fault::NoPermission => {
                let user = server::unique("user");
                let create = doc! { "createUser": &user, "pwd": right, "roles": [] };
                self.client().await?.database("admin").run_command(create).await?;
                server::url_as(self.0.url(), &user, right)
            }
            Fault::TlsRefused => server::url_with(self.0.url(), "tls=true"),
            fault => return Err(format!("unknown fault: {fault}").into()),
        };
        self.store_at("forbidden", &url).await
    }

    fn secrets(&self) -> Vec<String> {
        vec!["open-sesame".to_owned(), "rosebud".to_owned()]
    }
}
