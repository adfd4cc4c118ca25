//! The faults of golock-conformance can find something: over a real server, a store that is wrong in one way is found out, and
//! the same store without its fault is not.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use golock_conformance::faults::{self, Plan};
use golock_conformance::history::Violation;
use golock_conformance::{Abilities, BoxError, Fixture, Through, async_trait};
use golock_core::LockStore;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

use self::store::{Wrong, WrongStore};

#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../server/mod.rs"]
mod server;
mod store;

/// What a trial is called, the way to be wrong, and what shows it.
type Rejected = (&'static str, Wrong, fn(&Violation) -> bool);

const WRONG: [Rejected; 5] = [
    ("store_that_lets_anybody_release_is_found", Wrong::AnybodyReleases, |violation| {
        matches!(violation, Violation::Overlap { .. } | Violation::FencedOut { .. })
    }),
    ("store_that_grants_a_held_name_is_found", Wrong::EverybodyWins, |violation| {
        matches!(violation, Violation::Overlap { .. })
    }),
    ("store_that_repeats_tokens_is_found", Wrong::TokensAreSeconds, |violation| {
        matches!(violation, Violation::TokenTwice { .. })
    }),
    ("store_that_says_more_than_is_left_is_found", Wrong::SaysMoreThanIsLeft, |violation| {
        matches!(violation, Violation::Overlap { .. })
    }),
    ("store_that_forgets_releases_is_found", Wrong::ForgetsReleases, |violation| {
        matches!(violation, Violation::Stuck { .. })
    }),
];

fn main() -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error),
    };
    let trial = |name, wrong, finds: Option<fn(&Violation) -> bool>| {
        let handle = runtime.handle().clone();
        Trial::ignorable_test(format!("redis::{name}"), move || handle.block_on(look(wrong, finds)))
    };
    let mut trials = vec![trial("store_that_is_right_is_not_found", None, None)];
    trials.extend(WRONG.iter().map(|(name, wrong, finds)| trial(name, Some(*wrong), Some(*finds))));
    let mut arguments = Arguments::from_args();
    // Each has a server of its own, and most of it is waiting.
    arguments.test_threads = arguments.test_threads.or(Some(6));
    libtest_mimic::run(&arguments, trials).exit_code()
}

async fn look(wrong: Option<Wrong>, finds: Option<fn(&Violation) -> bool>) -> Result<Completion, Failed> {
    let target = fixture::targets().into_iter().find(|target| target.id() == "redis").ok_or("no redis")?;
    let opened = match target.open().await {
        Ok(opened) => opened,
        Err(why) => return Ok(Completion::ignored_with(why.excuse("redis")?)),
    };
    let fixture = WrongFixture { inner: opened.fixture().clone(), wrong };
    let report = faults::run(&fixture, &Plan::new(5, Duration::from_secs(9))).await;
    drop(fixture);
    opened.close().await;
    let report = report.map_err(|error| error.to_string())?;
    match finds {
        None if report.violations().is_empty() => Ok(Completion::Completed),
        Some(finds) if report.violations().iter().any(finds) => Ok(Completion::Completed),
        _ => Err(report.to_string().into()),
    }
}

/// The server's fixture, but its stores are wrong.
struct WrongFixture {
    inner: Arc<dyn Fixture>,
    wrong: Option<Wrong>,
}

impl WrongFixture {
    fn spoil(&self, store: Arc<dyn LockStore>) -> Arc<dyn LockStore> {
        match self.wrong {
            Some(wrong) => Arc::new(WrongStore::new(store, wrong)),
            None => store,
        }
    }

    fn through(&self) -> Result<&dyn Through, BoxError> {
        Ok(self.inner.abilities().through?)
    }
}

#[async_trait]
impl Fixture for WrongFixture {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(self.spoil(self.inner.store(space).await?))
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities { through: Ok(self), ..self.inner.abilities() }
    }
}

#[async_trait]
impl Through for WrongFixture {
    fn address(&self) -> String {
        self.through().map(Through::address).unwrap_or_default()
    }

    async fn store_through(&self, space: &str, address: SocketAddr) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(self.spoil(self.through()?.store_through(space, address).await?))
    }
}

#[allow(clippy::print_stderr, reason = "nothing else tells why no test ran")]
fn complain(error: &std::io::Error) -> ExitCode {
    eprintln!("no runtime: {error}");
    ExitCode::FAILURE
}
