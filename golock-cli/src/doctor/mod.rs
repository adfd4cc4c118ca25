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

use golock_core::Locker;

use crate::arguments::Doctor;
use crate::failure::{CONFIGURATION, Failure, NEGATIVE, PERMISSION};
use crate::store::{IfMissing, Store};

pub(crate) use self::findings::Findings;

/// Examines the server, and tells. Whoever looks need not be who is to own the table, and the name may be a slip: so none
/// is made.
///
/// # Errors
/// It can't be reached, or its URL, or the name of the table, can't be right.
pub(crate) async fn examine(store: &Store, arguments: &Doctor) -> Result<u8, Failure> {
    store.check()?;
    let mut findings = Findings::default();
    let connected = match store.connect(IfMissing::Tell).await {
        // The examination says more.
        Err(failure) if !matches!(failure.code(), CONFIGURATION | PERMISSION) => return Err(failure),
        connected => connected,
    };
    let has_table = match store.examine(&mut findings).await {
        Ok(has_table) => has_table,
        Err(failure) => {
            findings.warning(
                "examination",
                format!("ended early: {failure}"),
                "let a user examine it who may read the server's settings",
            );
            true
        }
    };
    lock(connected, has_table, &mut findings).await;
    findings.print(arguments.json)?;
    Ok(if findings.has_fault() { NEGATIVE } else { 0 })
}

/// What golock itself can do there.
async fn lock(connected: Result<Locker, Failure>, has_table: bool, findings: &mut Findings) {
    match connected {
        Ok(locker) => {
            findings.good("golock", format!("connects, by its {} backend", locker.backend()));
            if has_table {
                return probe::lock_and_unlock(&locker, findings).await;
            }
        }
        Err(failure) if has_table || !failure.is_schema_missing() => {
            let advice = "see above; golock schema prints what it needs";
            return findings.fault("golock", failure.to_string(), advice);
        }
        // There is no table, as the examination has told.
        Err(_) => {}
    }
    findings.note(
        "privileges",
        "no lock was tried: it would create what is missing",
        "ask again when it is there",
    );
}
