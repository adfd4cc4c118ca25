//! A server for the tests that no other backend has: one that the environment names, else one in a container.
//!
//! The same variables count as for the suite: `GOLOCK_TEST_X_URL`, `GOLOCK_TEST_X_IMAGE`, `GOLOCK_SERVERS`, `GOLOCK_REQUIRE`.

use std::env;
use std::time::Duration;

use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::time::{Instant, sleep};

pub(crate) struct Running {
    pub(crate) url: String,
    container: Option<ContainerAsync<GenericImage>>,
}

/// Why there is no server.
pub(crate) enum Missing {
    /// Its tests are ignored.
    Ignored(String),
    /// Its tests fail.
    Failed(String),
}

impl Running {
    pub(crate) async fn open(id: &str, image: &str) -> Result<Self, Missing> {
        if let Some(url) = set(id, "URL") {
            return Ok(Self { url, container: None });
        }
        if env::var("GOLOCK_SERVERS").is_ok_and(|ids| !lists(&ids, id)) {
            return Err(Missing::Ignored(format!("GOLOCK_SERVERS does not list {id}")));
        }
        let image = set(id, "IMAGE").unwrap_or_else(|| image.to_owned());
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        let starting = GenericImage::new(name, tag)
            .with_exposed_port(3306.tcp())
            .with_env_var("MYSQL_ROOT_PASSWORD", "golock-test")
            .with_startup_timeout(Duration::from_secs(300))
            .start();
        let container = match starting.await {
            Ok(container) => container,
            Err(error) => {
                let why = format!("no server: {image} did not start: {error}");
                let required = env::var("GOLOCK_REQUIRE").is_ok_and(|ids| lists(&ids, id));
                return Err(if required { Missing::Failed(why) } else { Missing::Ignored(why) });
            }
        };
        let port =
            container.get_host_port_ipv4(3306).await.map_err(|error| Missing::Failed(error.to_string()))?;
        let url = format!("mysql://root:golock-test@127.0.0.1:{port}/mysql");
        let server = Self { url, container: Some(container) };
        let end = Instant::now() + Duration::from_secs(60);
        while let Err(error) = super::admin(&server.url).await {
            if Instant::now() > end {
                return Err(Missing::Failed(format!("{id} never answered: {error}")));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }

    pub(crate) async fn close(self) {
        if let Some(container) = self.container {
            // What can't be removed now is removed by hand; the tests have their outcome.
            let _ = container.rm().await;
        }
    }
}

fn set(id: &str, what: &str) -> Option<String> {
    env::var(format!("GOLOCK_TEST_{}_{what}", id.to_uppercase())).ok().filter(|value| !value.is_empty())
}

fn lists(ids: &str, id: &str) -> bool {
    ids.split(',').any(|listed| listed.trim() == id)
}
