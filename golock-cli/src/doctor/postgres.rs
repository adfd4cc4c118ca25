//! What to look for at a server of PostgreSQL.

use std::collections::BTreeSet;

use golock_conformance::BoxError;
use golock_core::backend::Table;
use golock_postgres::PostgresStoreBuilder;
use golock_postgres::deadpool_postgres::tokio_postgres::{Client, SimpleQueryMessage};
use golock_postgres::tool_session;

use super::Findings;
use super::probe::{compare_columns, could_not_ask};
use crate::store::Site;

const COLUMNS: [&str; 8] = [
    "name bytea NOT NULL",
    "grant_id bytea",
    "released_grant bytea",
    "lock_by text NOT NULL",
    "token bigint NOT NULL",
    "locked_at timestamp with time zone NOT NULL",
    "expires_at timestamp with time zone NOT NULL",
    "waiters_until timestamp with time zone",
];

pub(crate) async fn examine(site: &Site, findings: &mut Findings) -> Result<bool, BoxError> {
    let session = tool_session(&site.url).await?;
    version(&session, findings).await?;
    pooler(&site.url, &session, findings).await?;
    role(&session, findings).await?;
    durability(&session, findings).await?;
    schema(&session, site, findings).await
}

async fn version(session: &Client, findings: &mut Findings) -> Result<(), BoxError> {
    let told = format!("PostgreSQL {}", setting(session, "server_version").await?);
    let number: u32 = setting(session, "server_version_num").await?.parse()?;
    match number {
        150_000.. => findings.good("version", told),
        120_000.. => findings.note("version", told, "golock is tested with PostgreSQL 15 and 18"),
        _ => {
            findings.warning(
                "version",
                told,
                "it is no longer maintained, and golock was not tested with it",
            );
        }
    }
    Ok(())
}

/// A session has a process of the server, the same for all its life, and no other has it; unless a pooler lends each
/// statement any that is free: often the one that was used last, or each in its turn. So two sessions ask by turns, and one
/// of them twice in a row.
async fn pooler(url: &str, session: &Client, findings: &mut Findings) -> Result<(), BoxError> {
    const PID: &str = "SELECT pg_backend_pid()";
    /// Others who use the pooler at the same time may make it look right once.
    const ROUNDS: usize = 8;
    let other = tool_session(url).await?;
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..ROUNDS {
        ours.insert(value(session, PID).await?);
        theirs.insert(value(&other, PID).await?);
        theirs.insert(value(&other, PID).await?);
        ours.insert(value(session, PID).await?);
    }
    if are_lent(&ours, &theirs) {
        findings.fault(
            "pooler",
            "sessions have no process of the server for themselves: a pooler in transaction or statement mode",
            "golock needs sessions of its own (settings, prepared statements, LISTEN): connect past pgbouncer, or to a pool \
             with pool_mode = session",
        );
    } else {
        findings.good("pooler", "none in transaction mode");
    }
    Ok(())
}

/// Of the processes that two sessions had.
fn are_lent(ours: &BTreeSet<String>, theirs: &BTreeSet<String>) -> bool {
    ours.len() > 1 || theirs.len() > 1 || ours == theirs
}

async fn role(session: &Client, findings: &mut Findings) -> Result<(), BoxError> {
    if value(session, "SELECT pg_is_in_recovery()::text").await? == "true" {
        findings.fault(
            "role",
            "a standby",
            "let the URL name the primary, or target_session_attrs=read-write",
        );
    } else {
        findings.good("role", "primary");
    }
    // Without pg_monitor the rows are there, but what they say is hidden.
    let sql = "SELECT count(*) FILTER (WHERE sync_state = 'async')::text FROM pg_stat_replication";
    match value(session, sql).await {
        Ok(count) if count == "0" => findings.good("standbys", "none that is asynchronous, as far as this user sees"),
        Ok(count) => findings.warning(
            "standbys",
            format!("{count} asynchronous"),
            "a failover to one may lose grants: promote synchronous ones only (synchronous_standby_names), or let what is \
             locked check tokens",
        ),
        Err(error) => could_not_ask(findings, "standbys", &*error),
    }
    Ok(())
}

async fn durability(session: &Client, findings: &mut Findings) -> Result<(), BoxError> {
    for (name, advice) in [
        ("fsync", "fsync = on: without it a crash of the machine may lose grants, or everything"),
        ("full_page_writes", "full_page_writes = on: without it a crash may damage the table"),
    ] {
        match &*setting(session, name).await? {
            "on" => findings.good(name, "on"),
            other => findings.fault(name, other, advice),
        }
    }
    match &*setting(session, "synchronous_commit").await? {
        weak @ ("off" | "local" | "remote_write") => findings.note(
            "synchronous_commit",
            weak,
            "golock's own sessions turn it on for grants; other writes may still be lost in a crash or a failover",
        ),
        other => findings.good("synchronous_commit", other),
    }
    Ok(())
}

pub(crate) async fn has_table(site: &Site) -> Result<bool, BoxError> {
    schema(&tool_session(&site.url).await?, site, &mut Findings::default()).await
}

/// Whether there is a table.
async fn schema(session: &Client, site: &Site, findings: &mut Findings) -> Result<bool, BoxError> {
    let (schema, table) = site.schema_and_table_or(PostgresStoreBuilder::DEFAULT_TABLE);
    let table = Table::new(schema, table, ['"', '"'], |_| true).ok_or("that is no name of a table")?;
    let table = table.to_string();
    let it = format!("to_regclass({})", literal(&table));
    let sql = format!(
        "SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ||
                CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
         FROM pg_attribute a WHERE a.attrelid = {it} AND a.attnum > 0 AND NOT a.attisdropped"
    );
    let columns = values(session, &sql).await?;
    if !compare_columns(findings, &table, &columns, &COLUMNS) {
        return Ok(false);
    }
    let key = format!(
        "SELECT count(*)::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE i.indrelid = {it} AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
           AND i.indpred IS NULL AND a.attname = 'name'"
    );
    if value(session, &key).await? == "0" {
        let advice = format!("ALTER TABLE {table} ADD PRIMARY KEY (name)");
        findings.fault("primary key", "name is not unique: two holders", &advice);
    }
    let indexes = format!("SELECT (count(*) - 1)::text FROM pg_index WHERE indrelid = {it}");
    match &*value(session, &indexes).await? {
        "0" | "-1" => {}
        more => findings.note(
            "indexes",
            format!("{more} besides the primary key"),
            "each makes every renewal write to it: drop those on columns other than name",
        ),
    }
    let missing = format!(
        "SELECT string_agg(p, ', ') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
         WHERE NOT has_table_privilege({it}, p)"
    );
    match values(session, &missing).await?.first() {
        Some(missing) if !missing.is_empty() => findings.fault(
            "table privileges",
            format!("without {missing}"),
            &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO this role"),
        ),
        _ => findings.good("table privileges", "SELECT, INSERT, UPDATE, DELETE"),
    }
    Ok(true)
}

/// As a text in SQL, whatever the role has made of backslashes.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

async fn setting(session: &Client, name: &str) -> Result<String, BoxError> {
    value(session, &format!("SHOW {name}")).await
}

async fn value(session: &Client, sql: &str) -> Result<String, BoxError> {
    Ok(values(session, sql).await?.into_iter().next().unwrap_or_default())
}

/// The first column of each row. By the simple protocol: a pooler need not know prepared statements.
async fn values(session: &Client, sql: &str) -> Result<Vec<String>, BoxError> {
    let messages = session.simple_query(sql).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::are_lent;

    #[test]
    fn processes_that_two_sessions_share_or_change_are_lent() {
        let had = |pids: &[&str]| pids.iter().map(|pid| (*pid).to_owned()).collect();
        assert!(!are_lent(&had(&["1"]), &had(&["2"])));
        assert!(are_lent(&had(&["1"]), &had(&["1"])), "the one that was used last");
        assert!(are_lent(&had(&["1", "4"]), &had(&["2", "3"])), "each in its turn");
        assert!(are_lent(&had(&["1"]), &had(&["1", "2"])));
    }
}
