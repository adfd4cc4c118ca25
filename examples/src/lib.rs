//! The examples stand beside this folder: `cron.rs`, `leader.rs`, `fenced_write.rs`, `axum_tenants.rs`. Each takes the URL of a
//! PostgreSQL from `DATABASE_URL`; the in-memory quickstart needs none.

/// The URL in `DATABASE_URL`, or a server on this machine.
pub fn database_url() -> String {
    std::env::var("DATABASE_URL").unwrap_or_else(|_| "postgres://postgres@127.0.0.1/postgres".to_owned())
}
