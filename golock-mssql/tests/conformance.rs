//! The suite of golock-conformance over SQL Server: the one that `GOLOCK_TEST_MSSQL_URL` names, else Microsoft's image.
//!
//! The URL may name a Babelfish instead: it speaks the same protocol and language, and is not SQL Server. Cases that rest
//! on what it lacks are ignored there.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use golock_conformance::servers::{self, Server};
use golock_conformance::{
    Abilities, Ability, BoxError, Connections, Damage, Fault, Fixture, Guard, Misconfigured, Restart,
    RowLock, Through, async_trait,
};
use golock_core::{FencingToken, LockName, LockStore};
use golock_mssql::MssqlStore;

mod server;

fn main() -> ExitCode {
    let answers = async |url: String| -> Result<(), BoxError> {
        let mut admin = server::session(&url).await?;
        let version = server::run(&mut admin, "SELECT @@VERSION AS version").await?;
        let version: &str = version.first().and_then(|row| row.get("version")).unwrap_or_default();
        IS_BABELFISH.store(version.contains("Babelfish"), Ordering::SeqCst);
        Ok(())
    };
    golock_conformance::main(vec![servers::target("mssql", answers, Mssql)])
}

static IS_BABELFISH: AtomicBool = AtomicBool::new(false);

struct Mssql(Server);

impl Mssql {
    async fn admin(&self) -> Result<server::Session, BoxError> {
        server::session(self.0.url()).await
    }

    async fn run(&self, sql: &str) -> Result<(), BoxError> {
        server::run(&mut self.admin().await?, sql).await.map(drop)
    }
}

/// What rests on an error number that Babelfish does not have.
fn numbered<T>(ability: T) -> Ability<T> {
    if IS_BABELFISH.load(Ordering::SeqCst) {
        Err("Babelfish has one error number for this and much else")
    } else {
        Ok(ability)
    }
}

/// A name as the table has it.
fn key(name: &LockName) -> Vec<u8> {
    [name.as_bytes(), &[1]].concat()
}

#[async_trait]
impl Fixture for Mssql {
    fn name(&self) -> &str {
        self.0.id()
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(MssqlStore::builder().table(space).connect(self.0.url()).await?))
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities {
            damage: Ok(self),
            // 1222: LOCK_TIMEOUT.
            row_lock: numbered(self),
            restart: self.0.can_restart().map(|()| self as &dyn Restart),
            connections: Ok(self),
            through: Ok(self),
            small_pool: Err("the store takes no pool of the application's"),
            sessions: Err("SQL Server has no defaults for the sessions of one login only"),
            wrong_password: Ok(self),
            schema_missing: numbered(self),
            no_permission: numbered(self),
            tls_refused: Ok(self),
            purge_counts: Ok(()),
        }
    }
}

#[async_trait]
impl Damage for Mssql {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        let sql = format!("DELETE FROM dbo.{space} WHERE name = @P1");
        server::query(&mut self.admin().await?, &sql, &[&key(name)]).await.map(drop)
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.run(&format!("TRUNCATE TABLE dbo.{space}")).await
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        let sql = format!("UPDATE dbo.{space} SET token = @P2 WHERE name = @P1");
        server::query(&mut self.admin().await?, &sql, &[&key(name), &token.get()]).await.map(drop)
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.run(&format!("DROP TABLE IF EXISTS dbo.{space}")).await
    }
}

#[async_trait]
impl RowLock for Mssql {
    async fn lock_row(&self, space: &str, name: &LockName) -> Result<Guard, BoxError> {
        let mut session = self.admin().await?;
        server::run(&mut session, "BEGIN TRANSACTION").await?;
        let sql = format!("UPDATE dbo.{space} SET lock_by = lock_by WHERE name = @P1");
        server::query(&mut session, &sql, &[&key(name)]).await?;
        Ok(Box::new(session))
    }
}

#[async_trait]
impl Restart for Mssql {
    async fn restart(&self) -> Result<(), BoxError> {
        self.0.restart().await
    }
}

#[async_trait]
impl Connections for Mssql {
    async fn kill_connections(&self) -> Result<(), BoxError> {
        let mut admin = self.admin().await?;
        for session in server::run(&mut admin, OTHERS).await? {
            let id: Option<i32> = session
                .try_get::<i32, _>("id")
                .or_else(|_| session.try_get::<i16, _>("id").map(|id| id.map(i32::from)))?;
            // It may have ended by itself.
            let _ = server::run(&mut admin, &format!("KILL {}", id.unwrap_or_default())).await;
        }
        Ok(())
    }

    async fn count_connections(&self) -> Result<usize, BoxError> {
        Ok(server::run(&mut self.admin().await?, OTHERS).await?.len())
    }
}

/// The sessions of golock's stores.
const OTHERS: &str = "SELECT session_id AS id FROM sys.dm_exec_sessions
    WHERE is_user_process = 1 AND session_id <> @@SPID AND program_name = N'golock'";

#[async_trait]
impl Through for Mssql {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn store_through(&self, space: &str, address: SocketAddr) -> Result<Arc<dyn LockStore>, BoxError> {
        let url = server::at(self.0.url(), address)?;
        Ok(Arc::new(MssqlStore::builder().table(space).connect(&url).await?))
    }
}

#[async_trait]
impl Misconfigured for Mssql {
    async fn misconfigured(&self, fault: Fault) -> Result<Arc<dyn LockStore>, BoxError> {
        let (builder, url) = (MssqlStore::builder(), self.0.url());
        let [wrong, right] = [WRONG, RIGHT];
        Ok(Arc::new(match fault {
            Fault::WrongPassword => builder.connect(&server::as_user(url, "golock_nobody", wrong)?).await?,
            Fault::SchemaMissing => builder.table("nowhere").create_table(false).connect(url).await?,
            Fault::NoPermission => {
                let sql = format!(
                    "IF OBJECT_ID(N'dbo.forbidden', N'U') IS NULL CREATE TABLE dbo.forbidden (name INT);
                     IF SUSER_ID(N'golock_guest') IS NULL
                         CREATE LOGIN golock_guest WITH PASSWORD = '{right}', CHECK_POLICY = OFF;
                     IF DATABASE_PRINCIPAL_ID(N'golock_guest') IS NULL
                         CREATE USER golock_guest FOR LOGIN golock_guest;"
                );
                self.run(&sql).await?;
                builder.table("forbidden").connect(&server::as_user(url, "golock_guest", right)?).await?
            }
            // Nobody known has signed its certificate.
            Fault::TlsRefused => builder.connect(&server::distrustful(url)?).await?,
            fault => return Err(format!("unknown fault: {fault}").into()),
        }))
    }

    fn secrets(&self) -> Vec<String> {
        vec![WRONG.to_owned(), RIGHT.to_owned()]
    }
}

const WRONG: &str = "Open-sesame1";
const RIGHT: &str = "Rosebud-1941";
