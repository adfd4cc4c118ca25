//! The servers that tests run against: one line each. `scripts/lib/servers.sh` knows the same ids.

use std::env;

use crate::fixture::Ability;

/// How a server is found, or started in a container.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) id: &'static str,
    /// The public image, unless `GOLOCK_TEST_<ID>_IMAGE` names another that behaves like it.
    pub(super) image: &'static str,
    /// Where the server listens in the container, and where it is looked for if a URL names no port.
    pub(super) port: u16,
    pub(super) env: &'static [(&'static str, &'static str)],
    pub(super) command: &'static [&'static str],
    /// The URL of the server in the container, with `{address}` for where it was published.
    pub(super) url: &'static str,
    /// Whether its clock can be set, for it runs under libfaketime; and as whom the container must start then, for the image
    /// would change from root to that user, and libfaketime's semaphores are open to one.
    pub(super) clock: Ability<&'static str>,
}

/// Every server that there is.
const KINDS: &[Kind] = &[
    Kind { id: "postgres", image: "postgres:18", ..POSTGRES },
    Kind { id: "postgres15", image: "postgres:15", ..POSTGRES },
    Kind { id: "mssql", image: "mcr.microsoft.com/mssql/server:2022-latest", ..MSSQL },
    Kind {
        id: "redis",
        image: "redis:8",
        command: &["redis-server", "--appendonly", "yes", "--appendfsync", "always", "--save", ""],
        ..REDIS
    },
    Kind {
        id: "valkey",
        image: "valkey/valkey:9",
        command: &["valkey-server", "--appendonly", "yes", "--appendfsync", "always", "--save", ""],
        ..REDIS
    },
    Kind { id: "mongo", image: "mongo:8", ..MONGO },
    Kind { id: "mysql", image: "mysql:9", command: &["mysqld", "--max-connections=500"], ..MYSQL },
    Kind { id: "mariadb", image: "mariadb:11.8", ..MARIADB },
    Kind { id: "mariadb10", image: "mariadb:10.11", ..MARIADB },
];

const POSTGRES: Kind = Kind {
    id: "",
    image: "",
    port: 5432,
    env: &[("POSTGRES_PASSWORD", "golock-test")],
    // Many clients at once. A killed process loses nothing without fsync, only a killed machine would.
    command: &["postgres", "-c", "max_connections=500", "-c", "fsync=off"],
    url: "postgres://postgres:golock-test@{address}/postgres",
    clock: Ok("postgres"),
};

/// A killed process loses nothing of its append-only file, only a killed machine would.
const REDIS: Kind = Kind {
    id: "",
    image: "",
    port: 6379,
    env: &[],
    command: &[],
    url: "redis://{address}",
    clock: Err("with its own allocator, jemalloc, it does not start under libfaketime"),
};

/// A replica set of one, for change streams, that asks for passwords: members of such a set must share a key.
const MONGO: Kind = Kind {
    id: "",
    image: "",
    port: 27017,
    env: &[("MONGO_INITDB_ROOT_USERNAME", "root"), ("MONGO_INITDB_ROOT_PASSWORD", "golock-test")],
    command: &[
        "bash",
        "-c",
        "echo golock >/tmp/key && chmod 400 /tmp/key && chown 999:999 /tmp/key && \
         exec docker-entrypoint.sh mongod --replSet golock --keyFile /tmp/key --bind_ip_all",
    ],
    url: "mongodb://root:golock-test@{address}/?directConnection=true",
    clock: Err("libfaketime was not tried with MongoDB, and its stand-in spins under it"),
};

const MYSQL: Kind = Kind {
    id: "",
    image: "",
    port: 3306,
    env: &[("MYSQL_ROOT_PASSWORD", "golock-test")],
    command: &[],
    url: "mysql://root:golock-test@{address}/mysql",
    clock: Err("under libfaketime it ended by itself, why was not found out"),
};

/// Without TLS: what a client that insists on it is told. MySQL's has a certificate that nobody signed.
const MARIADB: Kind = Kind {
    command: &["mariadbd", "--max-connections=500", "--skip-ssl"],
    clock: Err("now and then libfaketime tells one of its threads the right time"),
    ..MYSQL
};

const MSSQL: Kind = Kind {
    id: "",
    image: "",
    port: 1433,
    // Microsoft's terms for the image's developer edition: https://go.microsoft.com/fwlink/?LinkId=746388
    env: &[("ACCEPT_EULA", "Y"), ("MSSQL_SA_PASSWORD", "Golock-test1")],
    command: &[],
    url: "mssql://sa:Golock-test1@{address}/master?trust_server_certificate=true",
    clock: Err("nobody has tried to run SQL Server under libfaketime"),
};

impl Kind {
    #[allow(clippy::panic, reason = "a misspelt id must not run as no server at all")]
    pub(super) fn of(id: &str) -> &'static Self {
        match KINDS.iter().find(|kind| kind.id == id) {
            Some(kind) => kind,
            None => panic!("there is no test server {id:?}: add it to the table of golock-conformance"),
        }
    }

    /// `GOLOCK_TEST_POSTGRES_URL`.
    pub(super) fn url_variable(&self) -> String {
        format!("GOLOCK_TEST_{}_URL", self.id.to_uppercase())
    }

    /// `GOLOCK_TEST_POSTGRES_IMAGE`.
    pub(super) fn image_variable(&self) -> String {
        format!("GOLOCK_TEST_{}_IMAGE", self.id.to_uppercase())
    }

    /// The server that the user named.
    pub(super) fn given_url(&self) -> Option<String> {
        set(&self.url_variable())
    }

    /// Name and tag of the image to start.
    pub(super) fn image(&self) -> (String, String) {
        let image = set(&self.image_variable()).unwrap_or_else(|| self.image.to_owned());
        name_and_tag(&image)
    }

    /// Whether `GOLOCK_SERVERS`, the list of servers to test, leaves this one out.
    pub(super) fn is_left_out(&self) -> bool {
        env::var("GOLOCK_SERVERS").is_ok_and(|ids| !ids.split(',').any(|id| id.trim() == self.id))
    }
}

fn set(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

fn name_and_tag(image: &str) -> (String, String) {
    // A colon before a slash belongs to a registry's port.
    let (name, tag) =
        image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((image, "latest"));
    (name.to_owned(), tag.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{KINDS, name_and_tag};

    #[test]
    fn a_registrys_port_is_no_tag() {
        let parts = |image| <[String; 2]>::from(name_and_tag(image));
        assert_eq!(parts("postgres:18"), ["postgres", "18"].map(str::to_owned));
        assert_eq!(parts("localhost:5000/mine:1"), ["localhost:5000/mine", "1"].map(str::to_owned));
        assert_eq!(parts("localhost:5000/mine"), ["localhost:5000/mine", "latest"].map(str::to_owned));
    }

    #[test]
    fn each_server_stands_once_and_whole_in_the_table() {
        let ids: BTreeSet<_> = KINDS.iter().map(|kind| kind.id).collect();
        assert_eq!(ids.len(), KINDS.len());
        for kind in KINDS {
            assert!(kind.url.contains("{address}") && kind.image.contains(':') && kind.port > 0, "{kind:?}");
        }
    }
}
