//! One `#[test]` a case, for crates that have no test target of their own kind.

use std::env;

use tokio::runtime::Runtime;
use tokio::sync::RwLock;

use crate::case::cases;
use crate::context::chain;
use crate::fixture::{BoxError, Fixture};
use crate::report::Outcome;
use crate::run::run_case;

/// Expands to one `#[test]` for each case, over the fixture that the expression opens: a future of
/// `Result<impl Fixture, BoxError>`, awaited on a multi-thread runtime of the test's own.
///
/// libtest can't ignore a test that has begun. So a case fails, with the reason, where a runner would ignore it:
/// if there is no server, or the fixture lacks an ability. With `GOLOCK_ALLOW_SKIP=1` it says so and ends
/// quietly instead.
#[macro_export]
macro_rules! tests {
    ($fixture:expr) => {
        $crate::__catalogue! { { $crate::__tests } $fixture }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ({ $fixture:expr } $($group:ident {
        $($(#[doc = $line:literal])+ $name:ident: $properties:literal, $needs:tt;)+
    })+) => { $($(
        $crate::__test! { $fixture, $name, $needs, $(#[doc = $line])+ }
    )+)+ };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    ($fixture:expr, $name:ident, [LongRun], $(#[$doc:meta])+) => {
        $(#[$doc])+
        #[test]
        #[ignore = "it runs for minutes: set GOLOCK_LONG=1, and ask for ignored tests"]
        fn $name() {
            $crate::__run_test(stringify!($name), || $fixture);
        }
    };
    ($fixture:expr, $name:ident, $needs:tt, $(#[$doc:meta])+) => {
        $(#[$doc])+
        #[test]
        fn $name() {
            $crate::__run_test(stringify!($name), || $fixture);
        }
    };
}

/// What a test of [`tests!`](crate::tests) does.
#[allow(clippy::print_stderr, reason = "a test that looks at nothing must say so")]
pub fn run_test<F, Opening>(name: &str, open: impl FnOnce() -> Opening)
where
    F: Fixture,
    Opening: Future<Output = Result<F, BoxError>>,
{
    let Some(case) = cases().iter().find(|case| case.name == name) else { panic!("there is no case {name}") };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let outcome = runtime.block_on(async {
        let (_together, _alone) =
            if case.is_alone() { (None, Some(GATE.write().await)) } else { (Some(GATE.read().await), None) };
        match open().await {
            Ok(fixture) => run_case(&fixture, case).await,
            Err(error) => Outcome::Ignored(chain(&*error)),
        }
    });
    match outcome {
        Outcome::Passed => {}
        Outcome::Ignored(reason) if env::var("GOLOCK_ALLOW_SKIP").is_ok_and(|value| value == "1") => {
            eprintln!("{name} was skipped: {reason}");
        }
        Outcome::Ignored(reason) => panic!("not tested: {reason} (GOLOCK_ALLOW_SKIP=1 would let this pass)"),
        Outcome::Failed(reason) => panic!("{reason}\nwhich is to prove: {}", case.proves()),
    }
}

/// Keeps a case that harms the server apart from the others of this process.
static GATE: RwLock<()> = RwLock::const_new(());
