//! `golock doctor`: looks at a server for what bites in production, and says what to do about it.

mod findings;
#[cfg(feature = "mongo")]
pub(crate) mod mongo;
#[cfg(feature = "mssql")]
pub(crate) mod mssql;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod probe;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use crate::arguments::Doctor;
use crate::failure::{CONFIGURATION, Failure, NEGATIVE, PERMISSION};
use crate::store::Store;

pub(crate) use self::findings::Findings;

/// Examines the server, and tells.
///
/// # Errors
/// It can't be reached.
pub(crate) async fn examine(store: &Store, arguments: &Doctor) -> Result<u8, Failure> {
    let mut findings = Findings::default();
    match store.connect().await {
        Ok(locker) => {
            findings.good("golock", format!("connects, by its {} backend", locker.backend()));
            probe::lock_and_unlock(&locker, &mut findings).await;
        }
        // The examination says more.
        Err(failure) if matches!(failure.code(), CONFIGURATION | PERMISSION) => {
            findings.fault("golock", failure.to_string(), "see below; golock schema prints what it needs");
        }
        Err(failure) => return Err(failure),
    }
    if let Err(failure) = store.examine(&mut findings).await {
        findings.warning(
            "examination",
            format!("ended early: {failure}"),
            "let a user examine it who may read the server's settings",
        );
    }
    findings.print(arguments.json)?;
    Ok(if findings.has_fault() { NEGATIVE } else { 0 })
}
