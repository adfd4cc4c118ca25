//! What to look for at a server of SQL Server.

use std::time::Duration;

use golock_conformance::BoxError;
use golock_core::StoreError;
use golock_core::backend::Table;
use golock_mssql::tiberius::{Row, ToSql};
use golock_mssql::{MssqlStoreBuilder, ToolSessions};

use super::Findings;
use super::probe::{compare_columns, could_not_ask};
use crate::store::Site;

/// A time that is fine enough, as golock counts microseconds, has no number behind it: Babelfish makes `datetime2(6)` of each.
const COLUMNS: [&str; 7] = [
    "name varbinary(256) NOT NULL",
    "grant_id binary(16)",
    "released_grant binary(16)",
    "lock_by nvarchar(255) NOT NULL",
    "token bigint NOT NULL",
    "locked_at datetime2 NOT NULL",
    "expires_at datetime2 NOT NULL",
];

/// Bits of the server's `user options`, which sessions begin with.
const IMPLICIT_TRANSACTIONS: i32 = 2;

pub(crate) async fn examine(site: &Site, findings: &mut Findings) -> Result<bool, BoxError> {
    let sessions = sessions(site)?;
    let version = text(&sessions, "SELECT CAST(@@VERSION AS NVARCHAR(400))").await?;
    let version = version.lines().next().unwrap_or_default().trim().to_owned();
    findings.note("version", version, "golock-mssql is experimental: see its page");
    database(&sessions, findings).await;
    replicas(&sessions, findings).await;
    Ok(schema(&sessions, &table(site)?, findings).await)
}

pub(crate) async fn has_table(site: &Site) -> Result<bool, BoxError> {
    Ok(schema(&sessions(site)?, &table(site)?, &mut Findings::default()).await)
}

fn sessions(site: &Site) -> Result<ToolSessions, StoreError> {
    ToolSessions::at(&site.url, Duration::from_secs(10))
}

/// Its name was found right before.
fn table(site: &Site) -> Result<String, BoxError> {
    let (schema, table) = site.schema_and_table_or(MssqlStoreBuilder::DEFAULT_TABLE);
    let schema = schema.unwrap_or(MssqlStoreBuilder::DEFAULT_SCHEMA);
    let table = Table::new(Some(schema), table, ['[', ']'], |_| true).ok_or("that is no name of a table")?;
    Ok(table.to_string())
}

async fn database(sessions: &ToolSessions, findings: &mut Findings) {
    let of_database = |column: &str| {
        format!("SELECT CAST({column} AS NVARCHAR(60)) FROM sys.databases WHERE database_id = DB_ID()")
    };
    match text(sessions, &of_database("is_read_committed_snapshot_on")).await {
        Ok(on) if on == "1" => findings.good("READ_COMMITTED_SNAPSHOT", "on: who looks waits for nobody who writes"),
        Ok(_) => findings.note(
            "READ_COMMITTED_SNAPSHOT",
            "off: refusals and lists wait while a lock is being written",
            "ALTER DATABASE … SET READ_COMMITTED_SNAPSHOT ON, if the application agrees; locks are safe either way",
        ),
        Err(error) => could_not_ask(findings, "READ_COMMITTED_SNAPSHOT", &error),
    }
    match text(sessions, &of_database("delayed_durability_desc")).await {
        Ok(forced) if forced == "FORCED" => findings.fault(
            "DELAYED_DURABILITY",
            "FORCED: a crash loses grants",
            "ALTER DATABASE … SET DELAYED_DURABILITY = DISABLED",
        ),
        Ok(unknown) if unknown.is_empty() => findings.note(
            "DELAYED_DURABILITY",
            "the server does not tell",
            "ask whoever runs it whether a commit is on disk when it is confirmed",
        ),
        Ok(other) => findings.good("DELAYED_DURABILITY", other),
        Err(error) => could_not_ask(findings, "DELAYED_DURABILITY", &error),
    }
    let options =
        "SELECT CAST(value_in_use AS NVARCHAR(20)) FROM sys.configurations WHERE name = 'user options'";
    match text(sessions, options).await {
        Ok(options) => {
            let options: i32 = options.parse().unwrap_or(0);
            if options & IMPLICIT_TRANSACTIONS != 0 {
                let advice =
                    "golock's sessions turn them off; the application's commit nothing by themselves";
                findings.note("user options", "implicit transactions are on", advice);
            } else {
                findings.good("user options", "no implicit transactions");
            }
        }
        Err(error) => could_not_ask(findings, "user options", &error),
    }
}

async fn replicas(sessions: &ToolSessions, findings: &mut Findings) {
    let sql =
        "SELECT CAST(COUNT(*) AS NVARCHAR(20)) FROM sys.availability_replicas WHERE availability_mode = 0";
    match text(sessions, sql).await {
        Ok(none) if none == "0" => findings.good("availability replicas", "none that is asynchronous"),
        Ok(count) => findings.warning(
            "availability replicas",
            format!("{count} asynchronous"),
            "a failover to one may lose grants: fail over to synchronous ones, or let what is locked check tokens",
        ),
        Err(error) => could_not_ask(findings, "availability replicas", &error),
    }
}

async fn schema(sessions: &ToolSessions, table: &str, findings: &mut Findings) -> bool {
    let sql = "SELECT CAST(c.name + ' ' + t.name +
                   CASE WHEN t.name IN ('varbinary', 'binary') THEN '(' + CAST(c.max_length AS VARCHAR(9)) + ')'
                        WHEN t.name = 'nvarchar' THEN '(' + CAST(c.max_length / 2 AS VARCHAR(9)) + ')'
                        WHEN t.name = 'datetime2' AND c.scale < 6 THEN '(' + CAST(c.scale AS VARCHAR(9)) + ')'
                        ELSE '' END +
                   CASE WHEN c.is_nullable = 0 THEN ' NOT NULL' ELSE '' END AS NVARCHAR(300))
               FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id
               WHERE c.object_id = OBJECT_ID(@P1, N'U') ORDER BY c.column_id";
    match texts(sessions, sql, &[&table]).await {
        Ok(columns) => compare_columns(findings, table, &columns, &COLUMNS),
        Err(error) => {
            could_not_ask(findings, "schema", &error);
            true
        }
    }
}

async fn text(sessions: &ToolSessions, sql: &str) -> Result<String, StoreError> {
    Ok(texts(sessions, sql, &[]).await?.into_iter().next().unwrap_or_default())
}

async fn texts(
    sessions: &ToolSessions,
    sql: &str,
    parameters: &[&dyn ToSql],
) -> Result<Vec<String>, StoreError> {
    let rows = sessions.query(sql, parameters).await?;
    let text = |row: &Row| row.try_get::<&str, _>(0).ok().flatten().map(str::to_owned);
    Ok(rows.iter().filter_map(text).collect())
}
