//! Servers of a test's own, in containers that are removed when it ends.

use std::env;
use std::time::Duration;

use golock_core::{GrantId, Label, LockName};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use crate::server::Admin;

/// A server that nobody else uses.
pub(crate) struct Own {
    /// Where this machine reaches it.
    pub(crate) address: String,
    /// Where other containers do.
    pub(crate) inside: String,
    kind: Kind,
    container: ContainerAsync<GenericImage>,
}

/// A kind of server: one of the table of golock-conformance.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) id: &'static str,
    image: &'static str,
}

pub(crate) const KINDS: [Kind; 2] =
    [Kind { id: "redis", image: "redis:8" }, Kind { id: "valkey", image: "valkey/valkey:9" }];

impl Kind {
    /// Whether `GOLOCK_REQUIRE` lists it.
    pub(crate) fn is_required(self) -> bool {
        env::var("GOLOCK_REQUIRE").is_ok_and(|ids| ids.split(',').any(|id| id.trim() == self.id))
    }

    /// Whether `GOLOCK_SERVERS`, the list of servers to test, leaves it out.
    fn is_left_out(self) -> bool {
        env::var("GOLOCK_SERVERS").is_ok_and(|ids| !ids.split(',').any(|id| id.trim() == self.id))
    }

    fn image(self) -> String {
        env::var(format!("GOLOCK_TEST_{}_IMAGE", self.id.to_uppercase()))
            .unwrap_or_else(|_| self.image.to_owned())
    }
}

impl Own {
    /// Another server of the same kind.
    pub(crate) async fn another(&self, arguments: &[&str]) -> Self {
        let started = Self::start(self.kind, arguments).await;
        started.expect("what was started can be started again")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) async fn admin(&self) -> Admin {
        Admin::connect(&self.url()).await.expect("the administrator may connect")
    }

    /// A command of the administrator's.
    pub(crate) async fn run(&self, words: &[&str]) -> String {
        self.admin().await.run(words).await.expect("the administrator may do anything")
    }

    pub(crate) async fn remove(self) {
        // One that stays is removed by hand; the test has passed.
        let _ = self.container.rm().await;
    }

    /// The host of `inside`.
    pub(crate) fn host(&self) -> &str {
        self.inside.split(':').next().unwrap_or_default()
    }

    /// Stops every process of it, as SIGSTOP does.
    pub(crate) async fn pause(&self) {
        self.container.pause().await.expect("a container that runs can be paused");
    }

    /// Continues them.
    pub(crate) async fn go_on(&self) {
        self.container.unpause().await.expect("a container that is paused can go on");
    }

    /// Starts one with these arguments. An error is one line for people.
    pub(crate) async fn start(kind: Kind, arguments: &[&str]) -> Result<Self, String> {
        if kind.is_left_out() {
            return Err(format!("GOLOCK_SERVERS does not list {}", kind.id));
        }
        let image = kind.image();
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        let binary = format!("{}-server", kind.id);
        let command = [&[&*binary, "--save", ""], arguments].concat();
        let request = GenericImage::new(name, tag)
            .with_exposed_port(6379.tcp())
            .with_cmd(command)
            .with_network("bridge")
            .with_startup_timeout(Duration::from_secs(300));
        let failed = |error| format!("no server: image {image} did not start: {error}");
        let container = request.start().await.map_err(failed)?;
        let port = container.get_host_port_ipv4(6379).await.map_err(failed)?;
        let inside = container.get_bridge_ip_address().await.map_err(failed)?;
        let (address, inside) = (format!("127.0.0.1:{port}"), format!("{inside}:6379"));
        let server = Self { address, inside, kind, container };
        for _ in 0..600 {
            if let Ok(admin) = Admin::connect(&server.url()).await
                && admin.run(&["PING"]).await.is_ok()
            {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("no server: {image} started, and never answered"))
    }
}

pub(crate) fn name(name: &str) -> LockName {
    LockName::new(name).expect("a good name")
}

pub(crate) fn label() -> Label {
    Label::new("tester").expect("a good label")
}

/// A grant that no other in this process has.
pub(crate) fn grant() -> GrantId {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    GrantId::from_bytes(bytes)
}

pub(crate) const LONG: Duration = Duration::from_secs(60);
