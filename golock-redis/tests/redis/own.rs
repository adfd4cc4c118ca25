//! Servers of a test's own, in containers that are removed when it ends.

use golock_conformance::servers::{Changes, Server};
use golock_conformance::{BoxError, Unopened};

use crate::server::Admin;

/// A server that nobody else uses.
pub(crate) struct Own(Server);

impl Own {
    /// Starts the server `id` with these arguments.
    pub(crate) async fn start(id: &'static str, arguments: &[&str]) -> Result<Self, Unopened> {
        let binary = format!("{id}-server");
        let command = [&[&*binary, "--save", ""], arguments].concat();
        Self::run_by(id, command.into_iter().map(str::to_owned).collect()).await
    }

    async fn run_by(id: &'static str, command: Vec<String>) -> Result<Self, Unopened> {
        let answers = async |url: String| -> Result<(), BoxError> {
            Admin::connect(&url).await?.run(&["PING"]).await?;
            Ok(())
        };
        Server::alone(id, Changes { command, ..Changes::default() }, answers).await.map(Self)
    }

    /// Another server of the same kind.
    pub(crate) async fn another(&self, arguments: &[&str]) -> Self {
        let started = Self::start(self.0.id(), arguments).await;
        started.expect("what was started can be started again")
    }

    /// A sentinel of the same kind, which knows this server by the name `main`.
    pub(crate) async fn sentinel(&self) -> Self {
        let (id, host) = (self.0.id(), self.host().await);
        let settings = [
            "port 6379".to_owned(),
            format!("sentinel monitor main {host} 6379 1"),
            "sentinel down-after-milliseconds main 500".to_owned(),
            "sentinel failover-timeout main 3000".to_owned(),
        ];
        // It writes to its file what it finds.
        let file = format!("printf '{}\\n' > /tmp/sentinel.conf", settings.join("\\n"));
        let start = format!("{file} && exec {id}-server /tmp/sentinel.conf --sentinel");
        let command = ["sh", "-c", &start].map(str::to_owned).to_vec();
        Self::run_by(id, command).await.expect("what was started can be started again")
    }

    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    /// Where this machine reaches it.
    pub(crate) fn address(&self) -> String {
        self.0.address()
    }

    /// The address at which other containers do, by the usual port.
    pub(crate) async fn host(&self) -> String {
        self.0.host().await.expect("a container has an address")
    }

    pub(crate) async fn admin(&self) -> Admin {
        Admin::connect(self.url()).await.expect("the administrator may connect")
    }

    /// A command of the administrator's.
    pub(crate) async fn run(&self, words: &[&str]) -> String {
        self.admin().await.run(words).await.expect("the administrator may do anything")
    }
}

impl AsRef<Server> for Own {
    fn as_ref(&self) -> &Server {
        &self.0
    }
}
