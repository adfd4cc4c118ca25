//! The runner of tests that a backend has besides the suite.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

use super::Server;
use crate::target::Unopened;

/// A test: its name, and what it does with the server.
pub type Test<S = Server> = (&'static str, fn(Arc<S>) -> BoxFuture<'static, ()>);

/// Names the functions, which take an `Arc` of the server, as tests of [`main`](crate::servers::main).
#[doc(hidden)]
#[macro_export]
macro_rules! __server_tests {
    ($($test:path),+ $(,)?) => {
        [$((
            stringify!($test),
            (|server| Box::pin($test(server)))
                as fn(::std::sync::Arc<_>) -> ::std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
        )),+]
    };
}

/// The `main` of a test target with `harness = false`: every test over every server, `at_once` of them at a time.
///
/// A server is opened, by the future beside its id, when the first of its tests is to run, and removed when all have ended.
/// What has no server is ignored with the reason, or fails if `GOLOCK_REQUIRE` lists it.
pub fn main<S, Opening>(servers: Vec<(&'static str, Opening)>, at_once: usize, tests: &[Test<S>]) -> ExitCode
where
    S: AsRef<Server> + Send + Sync + 'static,
    Opening: Future<Output = Result<S, Unopened>> + Send + 'static,
{
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(at_once));
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let shared =
        |(id, opening): (_, Opening)| (id, opening.map(|opened| opened.map(Arc::new)).boxed().shared());
    let servers: Vec<(_, Opened<S>)> = servers.into_iter().map(shared).collect();
    let mut trials = Vec::new();
    for (name, test) in tests {
        for (id, opened) in &servers {
            let (id, test, opened, runtime) = (*id, *test, opened.clone(), runtime.handle().clone());
            trials.push(Trial::ignorable_test(format!("{id}::{name}"), move || {
                runtime.block_on(run(id, opened, test))
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for (_, opened) in servers {
        // One that was never asked for was never started.
        if let Some(Ok(server)) = opened.peek() {
            runtime.block_on((**server).as_ref().remove());
        }
    }
    conclusion.exit_code()
}

type Opened<S> = Shared<BoxFuture<'static, Result<Arc<S>, Unopened>>>;

async fn run<S>(
    id: &str,
    opened: Opened<S>,
    test: fn(Arc<S>) -> BoxFuture<'static, ()>,
) -> Result<Completion, Failed> {
    let server = match opened.await {
        Ok(server) => server,
        Err(why) => return Ok(Completion::ignored_with(why.excuse(id)?)),
    };
    match tokio::time::timeout(GIVE_UP, test(server)).await {
        Ok(()) => Ok(Completion::Completed),
        Err(_) => Err(format!("not over after {GIVE_UP:?}").into()),
    }
}

const GIVE_UP: Duration = Duration::from_secs(180);
