//! The server that the tests run on, and an administrator's session on it.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

pub(crate) use golock_conformance::servers::unique;
use golock_core::{GrantId, Label, LockName};
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Conn, Error, Opts, OptsBuilder};

/// A session of the administrator's. The database of the URL is created if it is not there.
pub(crate) async fn admin(url: &str) -> Result<Conn, Error> {
    let opts = Opts::from_url(url)?;
    let database = opts.db_name().unwrap_or_default().to_owned();
    let nowhere = OptsBuilder::from_opts(opts).db_name(None::<String>).prefer_socket(false);
    let mut conn = Conn::new(nowhere).await?;
    conn.query_drop(format!("CREATE DATABASE IF NOT EXISTS {database}")).await?;
    conn.query_drop(format!("USE {database}")).await?;
    Ok(conn)
}

/// Bytes, as SQL has them.
pub(crate) fn literal(bytes: &[u8]) -> String {
    format!("X'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

pub(crate) fn name(what: &str) -> LockName {
    LockName::new(unique(what)).unwrap()
}

pub(crate) fn label() -> Label {
    Label::new("tester").unwrap()
}

pub(crate) fn grant() -> GrantId {
    let mut bytes = [0; 16];
    let text = unique("");
    let bytes_of_it = &text.as_bytes()[text.len().saturating_sub(16)..];
    bytes[..bytes_of_it.len()].copy_from_slice(bytes_of_it);
    GrantId::from_bytes(bytes)
}
