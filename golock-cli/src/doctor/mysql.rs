//! What to look for at a server of MySQL or MariaDB.

use golock_conformance::BoxError;
use golock_core::backend::Table;
use golock_mysql::MysqlStoreBuilder;
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Conn, Row};

use super::Findings;
use super::probe::{compare_columns, could_not_ask};
use crate::store::Site;
use crate::verify::mysql::session;

const COLUMNS: [&str; 7] = [
    "name varbinary(255) NOT NULL",
    "grant_id binary(16)",
    "released_grant binary(16)",
    "lock_by varchar(255) NOT NULL",
    "token bigint NOT NULL",
    "locked_at datetime(6) NOT NULL",
    "expires_at datetime(6) NOT NULL",
];

pub(crate) async fn examine(site: &Site, findings: &mut Findings) -> Result<bool, BoxError> {
    let mut session = session(&site.url).await?;
    version(&mut session, findings).await?;
    defaults(&mut session, findings).await?;
    durability(&mut session, findings).await?;
    let has_table = schema(&mut session, site, findings).await?;
    session.disconnect().await?;
    Ok(has_table)
}

async fn version(session: &mut Conn, findings: &mut Findings) -> Result<(), BoxError> {
    let version = value(session, "SELECT CONCAT(@@version, ' (', @@version_comment, ')')").await?;
    let numbers: Vec<u32> = version.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
    let is_mariadb = version.to_ascii_lowercase().contains("mariadb");
    let minimum: &[u32] = if is_mariadb { &[10, 6] } else { &[8, 0, 19] };
    if numbers.as_slice() >= minimum {
        findings.good("version", version);
    } else {
        findings.warning("version", version, "golock is tested with MySQL 9 and MariaDB 10.11 and 11.8");
    }
    if value(session, "SELECT @@GLOBAL.read_only").await? != "0" {
        findings.fault("read_only", "the server is read-only", "let the URL name the primary");
    }
    // Only where Galera is compiled in.
    if let Ok(galera) = value(session, "SELECT @@GLOBAL.wsrep_on").await
        && galera == "1"
    {
        findings.warning(
            "wsrep_on",
            "a Galera cluster",
            "let all services lock on one and the same node: writes to several at once may grant twice until they certify",
        );
    }
    Ok(())
}

/// What sessions begin with. golock sets its own up; an application's that shares the settings may be surprised.
async fn defaults(session: &mut Conn, findings: &mut Findings) -> Result<(), BoxError> {
    for (name, good, advice) in [
        (
            "autocommit",
            "1",
            "golock's sessions turn it on; by a session of the application's with 0 nothing stays that was not committed",
        ),
        ("transaction_isolation", "REPEATABLE-READ READ-COMMITTED", "golock's sessions use READ COMMITTED"),
    ] {
        let found = match value(session, &format!("SELECT @@GLOBAL.{name}")).await {
            // MariaDB before 11.1.
            Err(_) if name == "transaction_isolation" => value(session, "SELECT @@GLOBAL.tx_isolation").await,
            found => found,
        }?;
        if good.split(' ').any(|good| good == found) {
            findings.good(name, found);
        } else {
            findings.note(name, found, advice);
        }
    }
    let mode = value(session, "SELECT @@GLOBAL.sql_mode").await?;
    if mode.contains("STRICT_ALL_TABLES") || mode.contains("STRICT_TRANS_TABLES") {
        findings.good("sql_mode", "strict");
    } else {
        let advice = "golock's sessions are strict; elsewhere values that don't fit are cut off in silence";
        findings.note("sql_mode", format!("not strict: {mode:?}"), advice);
    }
    Ok(())
}

async fn durability(session: &mut Conn, findings: &mut Findings) -> Result<(), BoxError> {
    match &*value(session, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit").await? {
        "1" => findings.good("innodb_flush_log_at_trx_commit", "1"),
        other => findings.fault(
            "innodb_flush_log_at_trx_commit",
            format!("{other}: a crash loses up to a second of grants"),
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
        ),
    }
    let has_log = value(session, "SELECT @@GLOBAL.log_bin").await? != "0";
    match &*value(session, "SELECT @@GLOBAL.sync_binlog").await? {
        "1" => findings.good("sync_binlog", "1"),
        other if !has_log => findings.good("sync_binlog", format!("{other}, but there is no binary log")),
        other => findings.warning(
            "sync_binlog",
            other,
            "sync_binlog = 1, where replicas or a recovery from the binary log take over",
        ),
    }
    // MySQL's words, or MariaDB's.
    let replicas = match session.query::<Row, _>("SHOW REPLICAS").await {
        Err(_) => session.query::<Row, _>("SHOW SLAVE HOSTS").await,
        rows => rows,
    };
    match replicas {
        Ok(rows) if rows.is_empty() => findings.good("replicas", "none are connected"),
        Ok(rows) => findings.warning(
            "replicas",
            format!("{}, asynchronous unless semi-synchronous replication is on", rows.len()),
            "a failover to one that had not received a grant grants it twice: let what is locked check tokens",
        ),
        Err(error) => could_not_ask(findings, "replicas", &error),
    }
    Ok(())
}

pub(crate) async fn has_table(site: &Site) -> Result<bool, BoxError> {
    let mut session = session(&site.url).await?;
    let has_table = schema(&mut session, site, &mut Findings::default()).await?;
    session.disconnect().await?;
    Ok(has_table)
}

/// Whether there is a table.
async fn schema(session: &mut Conn, site: &Site, findings: &mut Findings) -> Result<bool, BoxError> {
    let (database, name) = site.schema_and_table_or(MysqlStoreBuilder::DEFAULT_TABLE);
    let table = Table::new(database, name, ['`', '`'], |_| true).ok_or("that is no name of a table")?;
    let table = table.to_string();
    let database = database.map_or_else(|| "DATABASE()".to_owned(), literal);
    let is_it = format!("table_schema = {database} AND table_name = {}", literal(name));
    // The display width of integers is gone from MySQL 8 on.
    let sql = format!(
        "SELECT CONCAT(column_name, ' ', IF(data_type = 'bigint', 'bigint', column_type),
                       IF(is_nullable = 'NO', ' NOT NULL', ''))
         FROM information_schema.columns WHERE {is_it} ORDER BY ordinal_position"
    );
    let columns: Vec<String> = session.query(sql).await?;
    if !compare_columns(findings, &table, &columns, &COLUMNS) {
        return Ok(false);
    }
    let engine = format!("SELECT engine FROM information_schema.tables WHERE {is_it}");
    match value(session, &engine).await? {
        engine if engine.eq_ignore_ascii_case("InnoDB") => findings.good("engine", engine),
        engine => findings.fault("engine", engine, &format!("ALTER TABLE {table} ENGINE = InnoDB")),
    }
    let key = format!(
        "SELECT COUNT(*) FROM information_schema.statistics WHERE {is_it}
         AND index_name = 'PRIMARY' AND column_name = 'name' AND sub_part IS NULL"
    );
    if value(session, &key).await? != "1" {
        findings.fault("primary key", "it is not (name)", "compare the table with what golock schema prints");
    }
    Ok(true)
}

/// By its bytes: whether a backslash escapes anything is up to the server's `sql_mode`.
fn literal(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("_utf8mb4 X'{hex}'")
}

async fn value(session: &mut Conn, sql: &str) -> Result<String, BoxError> {
    // As text, whatever its type.
    let sql = format!("SELECT CAST(({sql}) AS CHAR)");
    let text = session.query_first::<Option<String>, _>(sql).await?.flatten().unwrap_or_default();
    // MariaDB's words for MySQL's figures.
    Ok(match &*text {
        "ON" => "1".to_owned(),
        "OFF" => "0".to_owned(),
        _ => text,
    })
}
