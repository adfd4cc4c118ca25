//! A server's container: started on a port that it keeps, killed, started again, removed.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::PortBinding;
use testcontainers::bollard::query_parameters::{InspectContainerOptions, KillContainerOptionsBuilder};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::sync::Mutex;

use super::Changes;
use super::clock::{SettableClock, seconds_ahead};
use super::table::Kind;
use crate::context::chain;
use crate::fixture::{Ability, BoxError, Clock};

pub(super) struct Container {
    /// `None` once removed.
    pub(super) running: Mutex<Option<ContainerAsync<GenericImage>>>,
    /// Whether its server's clock can be set.
    pub(super) clock: Ability<()>,
}

impl Container {
    /// Starts a container of the kind, and says where its server will listen. An error is one line for people.
    #[allow(clippy::print_stderr, reason = "whoever runs the tests wants to know why no server started")]
    pub(super) async fn start(kind: &Kind, changes: &Changes) -> Result<(Self, String), String> {
        let (name, tag) = kind.image();
        let clock = SettableClock::new(kind);
        let mut tries = 0;
        loop {
            let port = free_port().map_err(|error| format!("no free port for {}: {error}", kind.id))?;
            match run(kind, changes, clock.as_ref().ok(), &name, &tag, port).await {
                Ok(container) => {
                    let (running, clock) = (Mutex::new(Some(container)), clock.map(drop));
                    let container = Self { running, clock };
                    container.set_clock_first(kind).await?;
                    return Ok((container, format!("127.0.0.1:{port}")));
                }
                // Somebody was faster.
                Err(error) if tries < 3 && error.contains("already") => tries += 1,
                Err(error) => {
                    // The cause once; the reason is repeated with every case.
                    eprintln!("{}: {name}:{tag} did not start: {error}", kind.id);
                    return Err(format!(
                        "no server: neither {} nor {} names one, and {name}:{tag} did not start",
                        kind.url_variable(),
                        kind.image_variable()
                    ));
                }
            }
        }
    }

    /// As `GOLOCK_TEST_CLOCK` says, if it does: a server with the right time must not pass for one without.
    async fn set_clock_first(&self, kind: &Kind) -> Result<(), String> {
        let Some(ahead) = seconds_ahead() else { return Ok(()) };
        let set = match self.clock {
            Ok(()) => self.set_clock(ahead).await.map_err(|error| chain(&*error)),
            Err(why) => Err(why.to_owned()),
        };
        if let Err(why) = set {
            self.remove().await;
            return Err(format!("the clock of {} can't be set: {why}", kind.id));
        }
        Ok(())
    }

    /// SIGKILL, and up again, with the same data and port.
    pub(super) async fn kill_and_start(&self) -> Result<(), BoxError> {
        let running = self.running.lock().await;
        let Some(container) = running.as_ref() else { return Err("the container was removed".into()) };
        let docker = Docker::connect_with_defaults()?;
        let sigkill = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        docker.kill_container(container.id(), Some(sigkill)).await?;
        while container.is_running().await? {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(container.start().await?)
    }

    pub(super) async fn pause(&self) -> Result<(), BoxError> {
        let running = self.running.lock().await;
        let Some(container) = running.as_ref() else { return Err("the container was removed".into()) };
        Ok(container.pause().await?)
    }

    pub(super) async fn unpause(&self) -> Result<(), BoxError> {
        let running = self.running.lock().await;
        let Some(container) = running.as_ref() else { return Err("the container was removed".into()) };
        Ok(container.unpause().await?)
    }

    /// Its address in the engine's own network.
    pub(super) async fn address(&self) -> Result<String, BoxError> {
        let running = self.running.lock().await;
        let Some(container) = running.as_ref() else { return Err("the container was removed".into()) };
        let docker = Docker::connect_with_defaults()?;
        let told = docker.inspect_container(container.id(), None::<InspectContainerOptions>).await?;
        let networks = told.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let address = networks.into_values().find_map(|network| network.ip_address);
        address.ok_or_else(|| "the container is in no network".into())
    }

    pub(super) async fn remove(&self) {
        if let Some(container) = self.running.lock().await.take() {
            // What can't be removed now is removed by hand; the cases have their outcome.
            let _ = container.rm().await;
        }
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").finish_non_exhaustive()
    }
}

async fn run(
    kind: &Kind,
    changes: &Changes,
    clock: Option<&SettableClock>,
    name: &str,
    tag: &str,
    port: u16,
) -> Result<ContainerAsync<GenericImage>, String> {
    let inside = format!("{}/tcp", kind.port);
    let usual = kind.command.iter().map(|&word| word.to_owned()).collect();
    let command: Vec<String> = if changes.command.is_empty() { usual } else { changes.command.clone() };
    let mut request = GenericImage::new(name, tag)
        .with_exposed_port(kind.port.tcp())
        .with_cmd(command)
        // Only this machine reaches it, on a port that it keeps when it is stopped and started.
        .with_host_config_modifier(move |host| {
            let here =
                PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(port.to_string()) };
            host.publish_all_ports = Some(false);
            host.port_bindings = Some(HashMap::from([(inside.clone(), Some(vec![here]))]));
        })
        .with_startup_timeout(STARTED_WITHIN);
    for (variable, value) in kind.env {
        request = request.with_env_var(*variable, *value);
    }
    for (path, content) in &changes.files {
        request = request.with_copy_to(path, content.as_bytes().to_vec());
    }
    if let Some(clock) = clock {
        request = clock.put_into(request)?;
    }
    match tokio::time::timeout(STARTED_WITHIN, request.start()).await {
        Ok(Ok(container)) => Ok(container),
        Ok(Err(error)) => Err(chain(&error).replace('\n', " ")),
        Err(_) => Err(format!("not within {STARTED_WITHIN:?}")),
    }
}

/// A port below those that the system hands out by itself, so that none takes it while the server is down.
fn free_port() -> Result<u16, &'static str> {
    for salt in 0..1000 {
        let port = 20_000 + (RandomState::new().hash_one(salt) % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("a thousand were taken")
}

/// An image may have to be pulled first.
const STARTED_WITHIN: Duration = Duration::from_secs(300);
