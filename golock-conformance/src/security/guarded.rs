//! Servers that one test target has for itself, with certificates, and the runner of its tests.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

use super::Authority;
use crate::fixture::BoxError;
use crate::servers::{Changes, Server};
use crate::target::{Unopened, required};

/// A server whose certificate is for `localhost`: by the address 127.0.0.1 it is the wrong one.
#[derive(Debug)]
pub struct Guarded {
    server: Server,
    authority: Authority,
}

impl Guarded {
    /// Its id in the table of servers.
    pub fn id(&self) -> &'static str {
        self.server.id()
    }

    /// As whom to connect to 127.0.0.1.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        let address = self.address();
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.unwrap_or_else(|| panic!("{address} has no port"))
    }

    /// Who signed its certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// How the server is started, and how it is known that it answers.
pub struct Recipe {
    ready: Arc<dyn Fn(String) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>,
    command: Vec<String>,
    files: Vec<(String, String)>,
}

impl Recipe {
    /// As the table says. `ready` makes one real request of the server at the URL that it is given.
    pub fn new<Ready>(ready: impl Fn(String) -> Ready + Send + Sync + 'static) -> Self
    where
        Ready: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self { ready: Arc::new(move |url| ready(url).boxed()), command: Vec::new(), files: Vec::new() }
    }

    /// With this command in place of the table's. It finds `/tls/ca.pem`, `/tls/cert.pem` and `/tls/key.pem`.
    #[must_use]
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// With one more file.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    async fn open(self, id: &'static str) -> Result<Guarded, Unopened> {
        let authority = Authority::new();
        let certificate = authority.certificate("localhost");
        let mut files = self.files;
        files.extend([
            ("/tls/ca.pem".to_owned(), authority.pem()),
            ("/tls/cert.pem".to_owned(), certificate.pem),
            ("/tls/key.pem".to_owned(), certificate.key),
        ]);
        let ready = self.ready;
        let changes = Changes { command: self.command, files };
        let server = Server::alone(id, changes, move |url| ready(url)).await?;
        Ok(Guarded { server, authority })
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("command", &self.command).finish_non_exhaustive()
    }
}

/// A test: its name, and what it does.
pub type Test = (&'static str, fn(Arc<Guarded>) -> BoxFuture<'static, ()>);

/// Names the functions, which take an `Arc<Guarded>`, as tests of [`main`](crate::security::main).
#[doc(hidden)]
#[macro_export]
macro_rules! __security_tests {
    ($($test:path),+ $(,)?) => {
        [$((
            stringify!($test),
            (|server| Box::pin($test(server))) as fn(
                ::std::sync::Arc<$crate::security::Guarded>,
            ) -> ::std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
        )),+]
    };
}

/// The `main` of a test target with `harness = false`: every test over every server of the table that is named here.
///
/// What has no server is ignored with the reason, or fails if `GOLOCK_REQUIRE` lists it.
pub fn main(servers: Vec<(&'static str, Recipe)>, tests: &[Test]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of a test is waiting: more at once than there are processors.
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE));
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let servers: Vec<_> = servers.into_iter().map(|(id, recipe)| (id, opening(id, recipe))).collect();
    let mut trials = Vec::new();
    for (name, test) in tests {
        for (id, opening) in &servers {
            let (id, test, opening, runtime) = (*id, *test, opening.clone(), runtime.handle().clone());
            trials.push(Trial::ignorable_test(format!("{id}::{name}"), move || {
                runtime.block_on(run(id, opening, test))
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for (_, opening) in servers {
        // One that was never asked for was never started.
        if let Some(Ok(guarded)) = opening.peek() {
            runtime.block_on(guarded.server.remove());
        }
    }
    conclusion.exit_code()
}

type Opening = Shared<BoxFuture<'static, Result<Arc<Guarded>, Unopened>>>;

fn opening(id: &'static str, recipe: Recipe) -> Opening {
    async move { recipe.open(id).await.map(Arc::new) }.boxed().shared()
}

async fn run(
    id: &'static str,
    opening: Opening,
    test: fn(Arc<Guarded>) -> BoxFuture<'static, ()>,
) -> Result<Completion, Failed> {
    let guarded = match opening.await {
        Ok(guarded) => guarded,
        Err(Unopened::Missing(reason)) if !required(id) => return Ok(Completion::ignored_with(reason)),
        Err(Unopened::Missing(reason) | Unopened::Broken(reason)) => return Err(reason.into()),
    };
    match tokio::time::timeout(GIVE_UP, test(guarded)).await {
        Ok(()) => Ok(Completion::Completed),
        Err(_) => Err(format!("not over after {GIVE_UP:?}").into()),
    }
}

const AT_ONCE: usize = 6;
const GIVE_UP: Duration = Duration::from_secs(180);
