//! A database of MongoDB, as ground for the suite.

use std::sync::Arc;

use async_trait::async_trait;
use golock_conformance::{BoxError, Damage};
use golock_core::{FencingToken, LockName, LockStore};
use golock_mongo::mongodb::bson::{Document, doc};
use golock_mongo::mongodb::error::Error;
use golock_mongo::mongodb::{Client, Collection, Database};
use golock_mongo::{MongoStore, MongoStoreBuilder};

use super::Ground;

pub(crate) fn ground(url: &str) -> Box<dyn Ground> {
    Box::new(Mongo(url.to_owned()))
}

/// The database that golock would use at this URL.
pub(crate) async fn database(url: &str) -> Result<Database, Error> {
    let client = Client::with_uri_str(url).await?;
    Ok(client.default_database().unwrap_or_else(|| client.database(MongoStoreBuilder::DEFAULT_DATABASE)))
}

struct Mongo(String);

impl Mongo {
    async fn rows(&self, space: &str) -> Result<Collection<Document>, Error> {
        Ok(database(&self.0).await?.collection(space))
    }
}

#[async_trait]
impl Ground for Mongo {
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(MongoStore::builder().collection(space).connect(&self.0).await?))
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
