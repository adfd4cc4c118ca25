//! From a site to the backend's own builder: what the site's name is there.
//!
//! `create_table`: whether a table is made that is not there, as a service does.

use super::Site;

#[cfg(feature = "mongo")]
pub(super) fn mongo(site: &Site, _create_table: bool) -> golock_mongo::MongoStoreBuilder {
    use golock_mongo::{MongoStore, MongoStoreBuilder};
    // The server makes a collection at the first write to it, whoever asks.
    MongoStore::builder().collection(site.table_or(MongoStoreBuilder::DEFAULT_COLLECTION))
}

#[cfg(feature = "mssql")]
pub(super) fn mssql(site: &Site, create_table: bool) -> golock_mssql::MssqlStoreBuilder {
    use golock_mssql::{MssqlStore, MssqlStoreBuilder};
    let (schema, table) = site.schema_and_table_or(MssqlStoreBuilder::DEFAULT_TABLE);
    let schema = schema.unwrap_or(MssqlStoreBuilder::DEFAULT_SCHEMA);
    MssqlStore::builder().schema(schema).table(table).create_table(create_table)
}

#[cfg(feature = "mysql")]
pub(super) fn mysql(site: &Site, create_table: bool) -> golock_mysql::MysqlStoreBuilder {
    use golock_mysql::{MysqlStore, MysqlStoreBuilder};
    let (database, table) = site.schema_and_table_or(MysqlStoreBuilder::DEFAULT_TABLE);
    let builder = MysqlStore::builder().table(table).create_table(create_table);
    match database {
        Some(database) => builder.database(database),
        None => builder,
    }
}

#[cfg(feature = "postgres")]
pub(super) fn postgres(site: &Site, create_table: bool) -> golock_postgres::PostgresStoreBuilder {
    use golock_postgres::{PostgresStore, PostgresStoreBuilder};
    let (schema, table) = site.schema_and_table_or(PostgresStoreBuilder::DEFAULT_TABLE);
    let builder = PostgresStore::builder().table(table).create_table(create_table);
    match schema {
        Some(schema) => builder.schema(schema),
        None => builder,
    }
}

#[cfg(feature = "redis")]
pub(super) fn redis(site: &Site, _create_table: bool) -> golock_redis::RedisStoreBuilder {
    use golock_redis::{RedisStore, RedisStoreBuilder};
    RedisStore::builder().prefix(site.table_or(RedisStoreBuilder::DEFAULT_PREFIX))
}

#[cfg(feature = "sqlite")]
pub(super) fn sqlite(site: &Site, create_table: bool) -> golock_sqlite::SqliteStoreBuilder {
    use golock_sqlite::{SqliteStore, SqliteStoreBuilder};
    let table = site.table_or(SqliteStoreBuilder::DEFAULT_TABLE);
    SqliteStore::builder().table(table).create_table(create_table)
}
