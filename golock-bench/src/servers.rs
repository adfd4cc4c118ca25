//! The servers of a run: named by a URL, or started in containers, with the durability that a service would ask for.
//!
//! The images are those of the tests, the settings are not: there PostgreSQL runs without fsync, to be quick.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::contender::BoxError;
use crate::databases::Database;
use crate::say;

/// How a server is started.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) id: &'static str,
    /// The public image, unless `GOLOCK_TEST_<ID>_IMAGE` names another that behaves like it.
    image: &'static str,
    /// Where the server listens in the container.
    port: u16,
    env: &'static [&'static str],
    command: &'static [&'static str],
    /// The URL of the server in the container, with `{address}` for where it was published.
    url: &'static str,
    /// What a commit that was acknowledged survives, in words for the report.
    pub(crate) durability: &'static str,
}

pub(crate) const REDIS: Kind = Kind {
    id: "redis",
    image: "redis:8",
    port: 6379,
    env: &[],
    command: &["redis-server", "--appendonly", "yes", "--appendfsync", "always", "--save", ""],
    url: "redis://{address}",
    durability: "appendfsync always",
};

pub(crate) const POSTGRES: Kind = Kind {
    id: "postgres",
    image: "postgres:18",
    port: 5432,
    env: &["POSTGRES_PASSWORD=golock-bench"],
    command: &["postgres", "-c", "max_connections=600", "-c", "fsync=on", "-c", "synchronous_commit=on"],
    url: "postgres://postgres:golock-bench@{address}/postgres",
    durability: "fsync and synchronous_commit on",
};

pub(crate) const MARIADB: Kind = Kind {
    id: "mariadb",
    image: "mariadb:11.8",
    command: &["mariadbd", "--max-connections=600", "--innodb-flush-log-at-trx-commit=1", "--skip-ssl"],
    durability: "innodb_flush_log_at_trx_commit 1, no binary log",
    ..MYSQL
};

pub(crate) const MYSQL: Kind = Kind {
    id: "mysql",
    image: "mysql:9",
    port: 3306,
    env: &["MYSQL_ROOT_PASSWORD=golock-bench"],
    command: &["mysqld", "--max-connections=600", "--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"],
    url: "mysql://root:golock-bench@{address}/mysql",
    durability: "innodb_flush_log_at_trx_commit 1, sync_binlog 1",
};

/// A replica set of one, for change streams, that asks for passwords: members of such a set must share a key.
pub(crate) const MONGO: Kind = Kind {
    id: "mongo",
    image: "mongo:8",
    port: 27017,
    env: &["MONGO_INITDB_ROOT_USERNAME=root", "MONGO_INITDB_ROOT_PASSWORD=golock-bench"],
    command: &[
        "bash",
        "-c",
        "echo golock >/tmp/key && chmod 400 /tmp/key && chown 999:999 /tmp/key && \
         exec docker-entrypoint.sh mongod --replSet golock --keyFile /tmp/key --bind_ip_all",
    ],
    url: "mongodb://root:golock-bench@{address}/?directConnection=true",
    durability: "write concern majority with journal",
};

/// A server that answers. Its container, if it has one, is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    /// Name and version, and where it came from, for the report.
    pub(crate) title: String,
    /// Removed when it is dropped.
    _container: Option<Container>,
}

impl Server {
    /// The server that the environment names, or else a new one, once it answers.
    pub(crate) async fn open(database: &dyn Database) -> Result<Self, BoxError> {
        let kind = database.kind();
        let mut server = match variable(kind.id, "URL") {
            Some(url) => Self { url, title: "a running server, as it is set".to_owned(), _container: None },
            None => Self::start(kind)?,
        };
        until_ready(database, &server.url).await?;
        let version = database.version(&server.url).await?;
        server.title = format!("{version} ({}): {}", server.title, kind.durability);
        say(&format!("{}: {}", kind.id, server.title));
        Ok(server)
    }

    fn start(kind: &Kind) -> Result<Self, BoxError> {
        let image = variable(kind.id, "IMAGE").unwrap_or_else(|| kind.image.to_owned());
        let mut run = vec!["run", "--detach", "--label", "golock-bench"];
        // Only this machine reaches it.
        let publish = format!("127.0.0.1::{}", kind.port);
        run.extend(["--publish", &publish]);
        run.extend(kind.env.iter().flat_map(|setting| ["--env", setting]));
        run.push(&image);
        run.extend(kind.command);
        let container = Container(docker(&run)?);
        let published = docker(&["port", &container.0, &format!("{}/tcp", kind.port)])?;
        let address = published.lines().next().unwrap_or_default();
        let url = kind.url.replace("{address}", address);
        Ok(Self { url, title: format!("image {image}"), _container: Some(container) })
    }
}

async fn until_ready(database: &dyn Database, url: &str) -> Result<(), BoxError> {
    let begun = Instant::now();
    loop {
        let last: BoxError = match tokio::time::timeout(ONE_PROBE, database.prepare(url)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {ONE_PROBE:?}").into(),
        };
        if begun.elapsed() > READY_WITHIN {
            return Err(format!("the server of {} never answered: {last}", database.kind().id).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[derive(Debug)]
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = docker(&["rm", "--force", "--volumes", &self.0]) {
            say(&format!("a container stays behind: {error}"));
        }
    }
}

fn docker(arguments: &[&str]) -> Result<String, BoxError> {
    let output = Command::new("docker").args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("docker {}: {}", arguments.first().unwrap_or(&""), why.trim()).into())
}

/// `GOLOCK_TEST_REDIS_URL` and the like.
fn variable(id: &str, what: &str) -> Option<String> {
    env::var(format!("GOLOCK_TEST_{}_{what}", id.to_uppercase())).ok().filter(|value| !value.is_empty())
}

const READY_WITHIN: Duration = Duration::from_secs(60);
const ONE_PROBE: Duration = Duration::from_secs(5);
