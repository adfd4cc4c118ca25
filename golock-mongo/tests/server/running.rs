//! A server for tests of this crate's own: the one that the environment names, or one in a container.

use std::env;
use std::time::{Duration, Instant};

use golock_conformance::BoxError;
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

pub(crate) struct Running {
    pub(crate) url: String,
    container: Option<ContainerAsync<GenericImage>>,
}

impl Running {
    /// An error says why there is none, for people.
    pub(crate) async fn find() -> Result<Self, String> {
        if let Some(url) = variable("GOLOCK_TEST_MONGO_URL") {
            super::ready(url.clone()).await.map_err(|error| error.to_string())?;
            return Ok(Self { url, container: None });
        }
        if env::var("GOLOCK_SERVERS").is_ok_and(|ids| !ids.split(',').any(|id| id.trim() == "mongo")) {
            return Err("GOLOCK_SERVERS does not list mongo".to_owned());
        }
        let image = variable("GOLOCK_TEST_MONGO_IMAGE").unwrap_or_else(|| "mongo:8".to_owned());
        let started = start(&image).await;
        started.map_err(|error| format!("no server: image {image} did not start: {error}"))
    }

    pub(crate) async fn remove(self) {
        if let Some(container) = self.container {
            // What can't be removed now is removed by hand.
            let _ = container.rm().await;
        }
    }
}

/// Whether a server that can't be had is a failure.
pub(crate) fn required() -> bool {
    env::var("GOLOCK_REQUIRE").is_ok_and(|ids| ids.split(',').any(|id| id.trim() == "mongo"))
}

async fn start(image: &str) -> Result<Running, BoxError> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    // As golock-conformance starts it.
    let command = "echo golock >/tmp/key && chmod 400 /tmp/key && chown 999:999 /tmp/key && \
                   exec docker-entrypoint.sh mongod --replSet golock --keyFile /tmp/key --bind_ip_all";
    let container = GenericImage::new(name, tag)
        .with_exposed_port(27017.tcp())
        .with_cmd(["bash", "-c", command])
        .with_env_var("MONGO_INITDB_ROOT_USERNAME", "root")
        .with_env_var("MONGO_INITDB_ROOT_PASSWORD", "golock-test")
        .start()
        .await?;
    let port = container.get_host_port_ipv4(27017).await?;
    let url = format!("mongodb://root:golock-test@127.0.0.1:{port}/?directConnection=true");
    let begun = Instant::now();
    while let Err(error) = super::ready(url.clone()).await {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(Running { url, container: Some(container) })
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
