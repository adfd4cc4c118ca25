//! What a lock says of any server: whether this user may do all that locking takes, how long it takes, what the clock
//! there says.

use std::fmt::Display;
use std::time::{Duration, Instant, SystemTime};

use golock_core::{LockOptions, Locker};

use super::Findings;
use crate::failure::{Failure, chain};

/// The name that is locked.
const NAME: &str = "golock-doctor";

/// Another doctor may be at it.
const WAIT: Duration = Duration::from_secs(10);

pub(super) async fn lock_and_unlock(locker: &Locker, findings: &mut Findings) {
    match twice(locker).await {
        Ok(seen) => seen.tell(findings),
        Err(failure) => findings.fault(
            "privileges",
            failure.to_string(),
            "grant what golock schema prints; it locked, extended, listed and unlocked golock-doctor",
        ),
    }
}

/// What two locks in a row have shown.
struct Seen {
    round_trip: Duration,
    /// How far the server's clock is ahead of this machine's, in µs; known to half a round trip.
    ahead: i64,
    /// Tokens that follow each other at once have left the clock behind.
    counts_on: bool,
}

async fn twice(locker: &Locker) -> Result<Seen, Failure> {
    let options =
        || LockOptions::new(NAME).lock_by("golock doctor").lock_at_most(Duration::from_secs(30)).wait(WAIT);
    let first = locker.lock(options()).await?;
    let first_token = first.token();
    first.extend(Duration::from_secs(30)).await?;
    locker.inspect(NAME).await?;
    locker.list(NAME).await?;
    first.unlock().await?;

    #[allow(clippy::disallowed_methods, reason = "whether this machine's clock is wrong is what is asked")]
    let (before, begun) = (SystemTime::now(), Instant::now());
    let second = locker.lock(options()).await?;
    let round_trip = begun.elapsed();
    let token = second.token();
    second.unlock().await?;
    let here = before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + round_trip / 2;
    let here = i64::try_from(here.as_micros()).unwrap_or(i64::MAX);
    Ok(Seen {
        round_trip,
        ahead: token.get().saturating_sub(here),
        counts_on: token.get() == first_token.get() + 1,
    })
}

impl Seen {
    fn tell(&self, findings: &mut Findings) {
        findings.good("privileges", "this user locks, renews, sees, lists and unlocks");
        let took = format!("a lock takes {:.1} ms", self.round_trip.as_secs_f64() * 1e3);
        if self.round_trip > Duration::from_millis(250) {
            findings.note("round trip", took, "leases should be many times as long");
        } else {
            findings.good("round trip", took);
        }
        if self.counts_on {
            findings.warning(
                "clock",
                "the tokens are ahead of the server's clock",
                "it was set back, or a token was written by hand: locks are safe, and tokens grow by one until the clock \
                 has caught up",
            );
            return;
        }
        let seconds = self.ahead as f64 / 1e6;
        let told = format!("the server's clock is {seconds:+.3} s from this machine's");
        let noise = 1.0 + self.round_trip.as_secs_f64();
        if seconds.abs() > noise {
            findings.note(
                "clock",
                told,
                "leases go by the server's alone, so locks are safe; but jobs that clocks start begin that far apart: let \
                 lock_at_least be longer",
            );
        } else {
            findings.good("clock", told);
        }
    }
}

/// Says that there is no such table, collection or file.
#[allow(dead_code, reason = "which backends use it depends on the features")]
pub(super) fn nothing_there(findings: &mut Findings, what: impl Display) {
    let advice = "it is created at the first use, by a user who may; or run what golock schema prints";
    findings.note("schema", format!("there is no {what} yet"), advice);
}

/// Compares the columns that a table has, as `name type`, with those that golock makes: whether there is one.
#[cfg(any(feature = "mssql", feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub(super) fn compare_columns(
    findings: &mut Findings,
    table: &str,
    found: &[String],
    expected: &[&str],
) -> bool {
    if found.is_empty() {
        nothing_there(findings, format_args!("table {table}"));
        return false;
    }
    let missing: Vec<_> =
        expected.iter().copied().filter(|column| !found.iter().any(|one| one == column)).collect();
    let other: Vec<_> =
        found.iter().map(String::as_str).filter(|column| !expected.contains(column)).collect();
    if missing.is_empty() && other.is_empty() {
        findings.good("schema", "the table is as golock makes it");
    } else if missing.is_empty() {
        let found = format!("the table has columns of its own: {}", other.join(", "));
        findings.note("schema", found, "golock leaves them alone; they need a default, or may be NULL");
    } else {
        let found = format!("expected {}; found {}", missing.join(", "), other.join(", "));
        findings.fault("schema", found, "compare the table with what golock schema prints");
    }
    true
}

/// What could not be asked is no finding about the server, but nobody should take it for one that is good.
#[allow(dead_code, reason = "which backends use it depends on the features")]
pub(super) fn could_not_ask(findings: &mut Findings, what: &str, error: &(dyn std::error::Error + 'static)) {
    findings.note(what, format!("not known: {}", chain(error)), "ask as a user who may read it");
}
