//! How hard the suite tries: small figures by default, larger ones by environment variables.

use std::env;
use std::str::FromStr;
use std::time::Duration;

/// How many rounds of a race: `GOLOCK_ROUNDS`, 20 by default.
pub(crate) fn rounds() -> usize {
    variable("GOLOCK_ROUNDS").unwrap_or(20)
}

/// For how long short leases run out under waiters: `GOLOCK_SECONDS`, 5 by default.
pub(crate) fn churn() -> Duration {
    Duration::from_secs(variable("GOLOCK_SECONDS").unwrap_or(5))
}

/// How many leases one locker keeps: `GOLOCK_LEASES`, 300 by default.
pub(crate) fn leases() -> usize {
    variable("GOLOCK_LEASES").unwrap_or(300).max(20)
}

/// How many waiters one name has: `GOLOCK_WAITERS`, 200 by default.
pub(crate) fn waiters() -> usize {
    variable("GOLOCK_WAITERS").unwrap_or(200).max(4)
}

/// How many leases a holder outlives where each takes time: `GOLOCK_OUTLIVED`, 3 by default.
pub(crate) fn outlived() -> u32 {
    variable("GOLOCK_OUTLIVED").unwrap_or(3)
}

/// What chance begins with: `GOLOCK_SEED`, 1 by default.
#[cfg(feature = "security")]
pub(crate) fn seed() -> u64 {
    variable("GOLOCK_SEED").unwrap_or(1)
}

/// Whether cases that run for minutes are wanted: `GOLOCK_LONG=1`.
pub(crate) fn long_runs() -> bool {
    env::var("GOLOCK_LONG").is_ok_and(|value| value == "1")
}

/// The seconds after which a case that waits for something gives up. Generous: the machine may be busy.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(30);

/// The seconds that a whole case may take.
pub(crate) fn limit(long: bool) -> Duration {
    Duration::from_secs(if long { 15 * 60 } else { 120 })
}

#[allow(clippy::panic, reason = "a misspelt number must not run the default in silence")]
fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name}={value:?} is not a number"),
    }
}
