//! The suite of golock-conformance over a file of SQLite.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use golock_conformance::{
    Abilities, BoxError, Damage, Fault, Fixture, Misconfigured, Opened, Target, async_trait,
};
use golock_core::{FencingToken, LockName, LockStore};
use golock_sqlite::SqliteStore;
use rusqlite::{Connection, params};

use place::Place;

mod place;

fn main() -> ExitCode {
    let place = Place::new("conformance");
    let sqlite = Sqlite { file: place.file("locks.db"), is_root: place.writes_whatever_it_likes() };
    let opened = Opened::new(sqlite).closing_with(async move { drop(place) });
    golock_conformance::main(vec![Target::lazy("sqlite", async { Ok(opened) })])
}

struct Sqlite {
    file: PathBuf,
    is_root: bool,
}

impl Sqlite {
    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), BoxError> {
        let connection = Connection::open(&self.file)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute(sql, values)?;
        Ok(())
    }
}

#[async_trait]
impl Fixture for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        let url = format!("sqlite://{}", self.file.display());
        Ok(Arc::new(SqliteStore::builder().table(space).connect(&url).await?))
    }

    fn abilities(&self) -> Abilities<'_> {
        const NO_SERVER: &str = "there is no server, the processes are: tests/processes.rs kills them";
        const NO_NETWORK: &str = "nothing goes over a network";
        Abilities {
            damage: Ok(self),
            row_lock: Err("a transaction locks the whole file: tests/file.rs has what is promised then"),
            restart: Err(NO_SERVER),
            connections: Err("nobody can end another's connection: tests/file.rs sees them closed"),
            through: Err(NO_NETWORK),
            small_pool: Err("there is no pool: each store has its own connections"),
            sessions: Err("all sessions are golock's own: tests/file.rs has what a file brings along"),
            wrong_password: Err("a file has no password"),
            schema_missing: Ok(self),
            no_permission: if self.is_root {
                Err("the tests run as a user who may write to any file")
            } else {
                Ok(self)
            },
            tls_refused: Err(NO_NETWORK),
            purge_counts: Ok(()),
        }
    }
}

#[async_trait]
impl Damage for Sqlite {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.run(&format!("DELETE FROM {space} WHERE name = ?"), [name.as_bytes()])
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.run(&format!("DELETE FROM {space}"), [])
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        let sql = format!("UPDATE {space} SET token = ? WHERE name = ?");
        self.run(&sql, params![token.get(), name.as_bytes()])
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.run(&format!("DROP TABLE IF EXISTS {space}"), [])
    }
}

#[async_trait]
impl Misconfigured for Sqlite {
    async fn misconfigured(&self, fault: Fault) -> Result<Arc<dyn LockStore>, BoxError> {
        let builder = SqliteStore::builder();
        let store = match fault {
            Fault::SchemaMissing => builder.table("nowhere").create_table(false).build(&self.file)?,
            Fault::NoPermission => {
                let file = self.file.with_file_name("read-only.db");
                fs::write(&file, [])?;
                let mut permissions = fs::metadata(&file)?.permissions();
                permissions.set_readonly(true);
                fs::set_permissions(&file, permissions)?;
                builder.build(file)?
            }
            fault => return Err(format!("no file has {fault}").into()),
        };
        store.ready().await?;
        Ok(Arc::new(store))
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}
