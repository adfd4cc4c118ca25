//! `golock verify`: the conformance suite, against the user's own server.

#[cfg(feature = "mongo")]
pub(crate) mod mongo;
#[cfg(feature = "mssql")]
pub(crate) mod mssql;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod promises;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod shown;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use golock_conformance::{Abilities, BoxError, Case, Damage, Fixture, Outcome, cases, run_telling};
use golock_core::{FencingToken, LockName, LockStore};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Runtime;

use crate::arguments::Verify;
use crate::failure::{Failure, NEGATIVE, chain};
use crate::store::Store;

/// The server: where tables (collections, prefixes) of the suite's own can be made, damaged and dropped.
#[async_trait]
pub(crate) trait Ground: Damage + 'static {
    /// A fresh client over one of them.
    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError>;
}

/// Runs the suite, cleans up, says what holds.
///
/// # Errors
/// The server can't be reached, or no table can be made.
pub(crate) fn verify(store: &Store, arguments: &Verify) -> Result<u8, Failure> {
    let plot = Plot::on(store.ground()?);
    let interrupted = || Failure::new(130, "interrupted");
    let checks = on_many_threads(async {
        // If this fails, everything would.
        plot.store("first").await.map_err(|error| Failure::from_box(&error))?;
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Err(interrupted()),
            checks = suite(&plot, arguments.quick) => Ok(checks),
        }
    });
    // The suite's clients are gone with their runtime, so that nothing is made any more that is dropped here.
    let left_over = on_many_threads(async { Ok(plot.clear().await) })?;
    let checks = checks?;
    shown::print(&checks, &left_over, arguments.json)?;
    let fine =
        left_over.is_empty() && checks.iter().all(|(_, outcome)| !matches!(outcome, Outcome::Failed(_)));
    Ok(if fine { 0 } else { NEGATIVE })
}

type Checks = Vec<(&'static Case, Outcome)>;

async fn suite(plot: &Plot, quick: bool) -> Checks {
    const QUICK: [&str; 7] = ["granting", "releasing", "renewing", "tokens", "names", "operating", "batches"];
    let wanted = |case: &Case| !quick || QUICK.contains(&case.group);
    let bar = ProgressBar::new(cases().iter().filter(|case| wanted(case)).count() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    // A case says by panicking what a server did wrong; that is shown with its outcome.
    std::panic::set_hook(Box::new(|_| {}));
    let mut outcomes = std::collections::HashMap::new();
    run_telling(plot, wanted, |case, outcome| {
        outcomes.insert(case.name, outcome.clone());
        bar.set_message(case.name);
        bar.inc(1);
    })
    .await;
    bar.finish_and_clear();
    let _ = std::panic::take_hook();
    cases().iter().filter_map(|case| Some((case, outcomes.remove(case.name)?))).collect()
}

/// The suite's runtime, and all that was started in it, ends with `work`.
fn on_many_threads<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Runtime::new().map_err(|error| Failure::internal(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}

/// What the suite uses of the ground: names that begin with those of this run.
struct Plot {
    ground: Box<dyn Ground>,
    prefix: String,
    used: Mutex<BTreeSet<String>>,
}

impl Plot {
    fn on(ground: Box<dyn Ground>) -> Self {
        let run = RandomState::new().hash_one("run") & 0xffff_ffff;
        Self { ground, prefix: format!("golock_verify_{run:08x}_"), used: Mutex::default() }
    }

    fn own(&self, space: &str) -> String {
        let own = format!("{}{space}", self.prefix);
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(own.clone());
        own
    }

    /// Drops all; what could not be, and why.
    async fn clear(&self) -> Vec<String> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        let mut left_over = Vec::new();
        for space in used {
            if let Err(error) = self.ground.drop_space(&space).await {
                left_over.push(format!("{space}: {}", chain(&*error)));
            }
        }
        left_over
    }
}

#[async_trait]
impl Fixture for Plot {
    fn name(&self) -> &str {
        "verify"
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        self.ground.store(&self.own(space)).await
    }

    fn abilities(&self) -> Abilities<'_> {
        const YOURS: &str = "the server is yours: golock's own tests do that to servers of theirs";
        Abilities {
            damage: Ok(self),
            row_lock: Err("it would take a transaction that stays open"),
            restart: Err(YOURS),
            pause: Err(YOURS),
            connections: Err(YOURS),
            clock: Err(YOURS),
            own_clock: Err("it is about processes whose clocks are wrong: golock's own tests do that"),
            processes: Err("it is about processes that are killed: golock's own tests do that"),
            through: Err("the server would have to be reached through the suite's proxy"),
            small_pool: Err("it is about an application's pool"),
            sessions: Err(
                "it is about an application's sessions; golock doctor looks at the server's defaults",
            ),
            wrong_password: Err("wrong passwords may lock an account"),
            schema_missing: Err("all tables here are the suite's own"),
            no_permission: Err("it would take another user"),
            tls_refused: Err("it would take a server without TLS"),
            purge_counts: Ok(()),
        }
    }
}

#[async_trait]
impl Damage for Plot {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.ground.delete_row(&self.own(space), name).await
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.ground.delete_all(&self.own(space)).await
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        self.ground.set_token(&self.own(space), name, token).await
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.ground.drop_space(&self.own(space)).await
    }
}
