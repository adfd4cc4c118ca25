//! The server that the tests run on, and an administrator's session on it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use golock_core::{GrantId, Label, LockName};
use tokio_postgres::{Client, Config, NoTls};

/// An administrator's URL; `None`: there is no server to test on.
pub fn url() -> Option<String> {
    std::env::var("GOLOCK_TEST_POSTGRES_URL").ok()
}

/// A session of the administrator's, driven by the current runtime.
pub async fn admin(url: &str) -> Client {
    connect(&url.parse().unwrap()).await
}

pub async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The same server and database, another user.
pub fn url_as(url: &str, user: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.rsplit_once('@').unwrap();
    format!("{scheme}://{user}:{password}@{place}")
}

/// Different in every call and every run.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    format!("{what}_{:x}_{}", nanos as u64, NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn name(what: &str) -> LockName {
    LockName::new(unique(what)).unwrap()
}

pub fn label() -> Label {
    Label::new("tester").unwrap()
}

pub fn grant() -> GrantId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nanos.to_be_bytes());
    bytes[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    bytes[12..].copy_from_slice(&(NEXT.fetch_add(1, Ordering::Relaxed) as u32).to_be_bytes());
    GrantId::from_bytes(bytes)
}

pub const LONG: Duration = Duration::from_secs(60);
