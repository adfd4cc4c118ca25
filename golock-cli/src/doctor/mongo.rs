//! What to look for at a server of MongoDB.

use futures_util::TryStreamExt;
use golock_conformance::BoxError;
use golock_mongo::MongoStoreBuilder;
use golock_mongo::mongodb::Database;
use golock_mongo::mongodb::bson::{Bson, Document, doc};

use super::Findings;
use super::probe::{could_not_ask, nothing_there};
use crate::store::Site;
use crate::verify::mongo::database;

pub(crate) async fn examine(site: &Site, findings: &mut Findings) -> Result<bool, BoxError> {
    let database = database(&site.url).await?;
    let admin = database.client().database("admin");
    version(&admin, findings).await;
    topology(&admin, findings).await?;
    concerns(&admin, findings).await;
    let name = site.table_or(MongoStoreBuilder::DEFAULT_COLLECTION);
    Ok(collection(&database, name, findings).await)
}

/// The server makes it at the first write.
pub(crate) async fn has_table(_: &Site) -> Result<bool, BoxError> {
    Ok(true)
}

async fn version(admin: &Database, findings: &mut Findings) {
    let version = match admin.run_command(doc! { "buildInfo": 1 }).await {
        Ok(built) => built.get_str("version").unwrap_or("0").to_owned(),
        Err(error) => return could_not_ask(findings, "version", &error),
    };
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    let told = format!("MongoDB {version}");
    if major >= 5 {
        findings.good("version", told);
    } else {
        findings.fault("version", told, "MongoDB 5.0 or newer is needed ($dateAdd)");
    }
}

async fn topology(admin: &Database, findings: &mut Findings) -> Result<(), BoxError> {
    let hello = admin.run_command(doc! { "hello": 1 }).await?;
    if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
        findings.fault("role", "not the primary", "name the whole replica set in the URL: ?replicaSet=…");
    }
    if hello.get_str("msg").is_ok_and(|said| said == "isdbgrid") {
        findings.fault(
            "topology",
            "a mongos of a sharded cluster, which decides by its own clock",
            "let the URL name a replica set: locks need one clock",
        );
    } else if let Ok(set) = hello.get_str("setName") {
        let members = hello.get_array("hosts").map_or(0, Vec::len);
        let arbiters = hello.get_array("arbiters").map_or(0, Vec::len);
        let told = format!("replica set {set:?} of {members} members and {arbiters} arbiters");
        match (members, arbiters) {
            (3.., 0) => findings.good("topology", told),
            (1, 0) => findings.note(
                "topology",
                told,
                "nothing takes over when it is down; grants are as durable as its disk",
            ),
            _ => findings.warning(
                "topology",
                told,
                "with a member down no majority confirms, and no lock can be had: three members that have data",
            ),
        }
    } else {
        findings.warning(
            "topology",
            "a standalone server",
            "a replica set, of one member if need be: for durable majority writes, and for change streams, which wake waiters",
        );
    }
    Ok(())
}

/// golock names its write concern with each command; what it means is the server's to say.
async fn concerns(admin: &Database, findings: &mut Findings) {
    match admin.run_command(doc! { "replSetGetConfig": 1 }).await {
        Ok(answer) => {
            let config = answer.get_document("config").cloned().unwrap_or_default();
            if !config.get_bool("writeConcernMajorityJournalDefault").unwrap_or(true) {
                findings.warning(
                    "writeConcernMajorityJournalDefault",
                    "false",
                    "true: golock asks for the journal itself, but the members' own words rest on it too",
                );
            } else {
                findings.good("writeConcernMajorityJournalDefault", "true");
            }
        }
        Err(error) => could_not_ask(findings, "writeConcernMajorityJournalDefault", &error),
    }
    match admin.run_command(doc! { "getDefaultRWConcern": 1 }).await {
        Ok(answer) => {
            let concern = answer.get_document("defaultWriteConcern").cloned().unwrap_or_default();
            let w = concern.get("w").map_or_else(|| "unset".to_owned(), Bson::to_string);
            findings.good("write concern", format!("majority by golock, whatever the default is ({w})"));
        }
        Err(error) => could_not_ask(findings, "write concern", &error),
    }
}

/// Whether it is there, as far as one is told.
async fn collection(database: &Database, name: &str, findings: &mut Findings) -> bool {
    let about = database.run_command(doc! { "listCollections": 1, "filter": { "name": name } }).await;
    let about = about.ok().and_then(|about| Some(about.get_document("cursor").ok()?.clone()));
    let found = about.as_ref().and_then(|about| about.get_array("firstBatch").ok());
    if found.is_some_and(Vec::is_empty) {
        nothing_there(findings, format_args!("collection {name}"));
        return false;
    }
    let indexes =
        async { database.collection::<Document>(name).list_indexes().await?.try_collect::<Vec<_>>().await };
    match indexes.await {
        Ok(indexes) => {
            let expiring = indexes
                .iter()
                .any(|index| index.options.as_ref().is_some_and(|options| options.expire_after.is_some()));
            if expiring {
                findings.fault(
                    "TTL index",
                    "it deletes documents, and with them the last released grant and the token",
                    "drop it; golock purge forgets old names with care",
                );
            } else {
                findings.good("TTL index", "none");
            }
        }
        Err(error) => could_not_ask(findings, "TTL index", &error),
    }
    let collation = found.and_then(|found| {
        let options = found.first()?.as_document()?.get_document("options").ok()?;
        Some(options.get_document("collation").ok()?.to_string())
    });
    match collation {
        Some(collation) => findings.warning(
            "collation",
            collation,
            "a collection with the simple collation: names are compared by bytes all the same, but without the index",
        ),
        None => findings.good("collation", "simple"),
    }
    true
}
