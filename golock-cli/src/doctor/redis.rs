//! What to look for at a server of Redis or Valkey.

use golock_conformance::BoxError;
use golock_redis::ToolConnection;

use super::Findings;
use crate::store::Site;
use crate::verify::redis::{WITHIN, ask};

pub(crate) async fn examine(site: &Site, findings: &mut Findings) -> Result<bool, BoxError> {
    let connection = ToolConnection::open(&site.url, WITHIN).await?;
    let info: String = ask(&connection, &["INFO", "everything"]).await?.convert()?;
    let info = Info(&info);
    version(&info, findings);
    role(&info, findings);
    eviction(&info, findings);
    persistence(&connection, &info, findings).await;
    // Nothing has to be there.
    Ok(true)
}

/// Nothing has to be there.
pub(crate) async fn has_table(_: &Site) -> Result<bool, BoxError> {
    Ok(true)
}

/// What INFO says.
struct Info<'a>(&'a str);

impl<'a> Info<'a> {
    fn field(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    }
}

fn version(info: &Info<'_>, findings: &mut Findings) {
    let (name, version) = match info.field("valkey_version") {
        Some(version) => ("Valkey", version),
        None => ("Redis", info.field("redis_version").unwrap_or("0")),
    };
    let told = format!("{name} {version}");
    let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    match major {
        7.. => findings.good("version", told),
        // TIME before a write inside a script, and ACL.
        6 => findings.note("version", told, "golock is tested with Redis 8 and Valkey 9"),
        _ => findings.fault("version", told, "Redis 6 or newer is needed"),
    }
}

fn role(info: &Info<'_>, findings: &mut Findings) {
    match info.field("role") {
        Some("master") => findings.good("role", "primary"),
        role => findings.fault("role", format!("{role:?}"), "let the URL name the primary"),
    }
    let replicas = info.field("connected_slaves").unwrap_or("0");
    if replicas == "0" {
        findings.good("replicas", "none: no failover can forget a grant");
    } else {
        findings.warning(
            "replicas",
            format!("{replicas}, and replication is asynchronous"),
            "a failover to one that had not received a grant grants it twice: wait_for_replicas narrows that, \
             tokens protect what checks them",
        );
    }
}

fn eviction(info: &Info<'_>, findings: &mut Findings) {
    let policy = info.field("maxmemory_policy").unwrap_or_default();
    let limit = info.field("maxmemory").unwrap_or("0");
    match (limit, policy) {
        (_, "noeviction") => findings.good("maxmemory-policy", policy),
        ("0", _) => findings.note(
            "maxmemory-policy",
            format!("{policy}, but there is no maxmemory"),
            "noeviction, before somebody sets one",
        ),
        _ => findings.fault(
            "maxmemory-policy",
            format!("{policy} with maxmemory {limit}: the server may delete locks that are held"),
            "CONFIG SET maxmemory-policy noeviction, or a server of its own for locks",
        ),
    }
}

async fn persistence(connection: &ToolConnection, info: &Info<'_>, findings: &mut Findings) {
    if info.field("aof_enabled") != Some("1") {
        findings.warning(
            "appendonly",
            "no: a crash loses every grant since the last snapshot",
            "appendonly yes, appendfsync always; or let what is locked check tokens",
        );
        return;
    }
    findings.good("appendonly", "yes");
    // CONFIG is often forbidden or renamed.
    let settings = ask(connection, &["CONFIG", "GET", "appendfsync"]).await;
    let setting = settings.and_then(|value| Ok(value.convert::<Vec<String>>()?));
    match setting.as_deref() {
        Ok([_, setting]) if setting == "always" => findings.good("appendfsync", "always"),
        Ok([_, setting]) => findings.warning(
            "appendfsync",
            format!("{setting}: a crash of the machine loses the last second of grants, or two where the disk is slow"),
            "CONFIG SET appendfsync always",
        ),
        Ok(_) | Err(_) => findings.note(
            "appendfsync",
            "not known: this user may not ask",
            "it should be always; everysec may lose the last second or two",
        ),
    }
    if info.field("aof_last_write_status") == Some("err") {
        findings.fault("append-only file", "the last write failed", "look at the server's disk and log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(info: &str, look: fn(&Info<'_>, &mut Findings)) -> Findings {
        let mut findings = Findings::default();
        look(&Info(info), &mut findings);
        findings
    }

    #[test]
    fn a_server_that_may_evict_locks_is_a_fault() {
        let limited = "maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n";
        assert!(found(limited, eviction).has_fault());
        assert!(!found("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", eviction).has_fault());
        assert!(!found("maxmemory:1000\r\nmaxmemory_policy:noeviction\r\n", eviction).has_fault());
    }

    #[test]
    fn a_replica_is_a_fault() {
        assert!(found("role:slave\r\n", role).has_fault());
        assert!(!found("role:master\r\nconnected_slaves:1\r\n", role).has_fault());
    }

    #[test]
    fn valkey_is_known_by_its_own_version() {
        assert!(!found("redis_version:7.2.4\r\nvalkey_version:9.0.0\r\n", version).has_fault());
        assert!(found("redis_version:5.0.1\r\n", version).has_fault());
    }
}
