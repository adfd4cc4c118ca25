//! Servers that one test target has for itself, with certificates, and the `main` of its tests.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Authority;
use crate::fixture::BoxError;
use crate::servers::{self, Changes, Server, Test};
use crate::target::Unopened;

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

impl AsRef<Server> for Guarded {
    fn as_ref(&self) -> &Server {
        &self.server
    }
}

/// The `main` of a test target with `harness = false`: every test over every server of the table that is named here.
///
/// What has no server is ignored with the reason, or fails if `GOLOCK_REQUIRE` lists it.
pub fn main(servers: Vec<(&'static str, Recipe)>, tests: &[Test<Guarded>]) -> ExitCode {
    let servers = servers.into_iter().map(|(id, recipe)| (id, recipe.open(id))).collect();
    servers::main(servers, AT_ONCE, tests)
}

/// Most of a test is waiting: more at once than there are processors.
const AT_ONCE: usize = 6;
