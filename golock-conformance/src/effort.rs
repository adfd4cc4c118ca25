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

/// Whether cases that run for minutes are wanted: `GOLOCK_LONG=1`.
pub(crate) fn long_runs() -> bool {
    env::var("GOLOCK_LONG").is_ok_and(|value| value == "1")
}

/// The seconds after which a case that waits for something gives up. Generous: the machine may be busy.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(30);

/// The seconds that a whole case may take.
pub(crate) fn limit(long: bool) -> Duration {
    Duration::from_secs(if long { 15 * 60 } else { 60 })
}

#[allow(clippy::panic, reason = "a misspelt number must not run the default in silence")]
fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name}={value:?} is not a number"),
    }
}
