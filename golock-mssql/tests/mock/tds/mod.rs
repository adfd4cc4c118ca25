//! A server that speaks as much TDS as golock needs, and answers by a script. It proves what golock sends, and how it
//! takes errors, silence and broken connections; of what SQL Server does it proves nothing.
//!
//! It is our own, for the crate `mssql-mock-tds` brings OpenSSL along.

mod encrypted;
pub(crate) mod wire;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use golock_mssql::tiberius::{AuthMethod, Config, EncryptionLevel};
use golock_mssql::{MssqlStore, MssqlStoreBuilder};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use wire::{Parameter, Value};

/// What a client sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Which of the connections it came over, counted from 1.
    pub(crate) connection: usize,
    /// The text, `login` for a login.
    pub(crate) sql: String,
    /// What `sp_executesql` was told of its parameters; empty for a batch.
    pub(crate) declared: String,
    pub(crate) parameters: Vec<Parameter>,
}

impl Asked {
    /// `acquire` of `/* golock acquire */`; `session`, `create` or `login` for what has no such mark.
    pub(crate) fn what(&self) -> &str {
        match self.sql.strip_prefix("/* golock ").and_then(|rest| rest.split_once(" */")) {
            Some((mark, _)) => mark,
            None if self.sql.contains("CREATE TABLE") => "create",
            None if self.sql.starts_with("SET NOCOUNT ON") => "session",
            None => &self.sql,
        }
    }
}

/// What the server does about it.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Rows(&'static [&'static str], Vec<Vec<Value>>),
    Error {
        number: u32,
        class: u8,
    },
    /// Sends the client on.
    Route(String, u16),
    /// Never answers.
    Silence,
    /// Closes the connection without an answer.
    Close,
    /// Answers and then closes it.
    Last(Box<Reply>),
    /// Answers when there is a permit for it.
    Late(Arc<Semaphore>, Box<Reply>),
}

/// The answer to whatever is not scripted: a session that is fit, a table that is there, grants and releases.
pub(crate) fn usual(asked: &Asked) -> Reply {
    use Value::{BigInt, Int, Null, Text};
    match asked.what() {
        "session" => Reply::Rows(&["updateability"], vec![vec![Text("READ_WRITE")]]),
        "acquire" => {
            let columns = &["outcome", "token", "lock_by", "held_for", "remaining"];
            let row = vec![Text("granted"), BigInt(7), Text("me"), BigInt(0), BigInt(60_000_000)];
            Reply::Rows(columns, vec![row])
        }
        "renew" => {
            let row = |nr| vec![Int(nr), Text("renewed"), BigInt(60_000_000)];
            Reply::Rows(
                &["nr", "outcome", "remaining"],
                (0..asked.parameters.len() as i32 / 5).map(row).collect(),
            )
        }
        "release" => Reply::Rows(&["outcome"], vec![vec![Text("released")]]),
        "fence" => Reply::Rows(&["outcome", "token"], vec![vec![Text("fenced"), BigInt(8)]]),
        "purge" => Reply::Rows(&["deleted", "last"], vec![vec![BigInt(3), Null]]),
        _ => Reply::Rows(&[], Vec::new()),
    }
}

/// A running server; it ends with this.
pub(crate) struct Scripted {
    port: u16,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    /// Which connections have ended, and by which error.
    closed: Mutex<Vec<(usize, Option<io::ErrorKind>)>>,
    changed: Notify,
}

impl Scripted {
    /// Answers by `script`, and as [`usual`] where that says nothing.
    pub(crate) async fn start(script: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::speaking(None, Arc::new(script)).await
    }

    /// One that does as [`usual`], and takes nobody's password without TLS.
    pub(crate) async fn with_tls(tls: ServerConfig) -> Self {
        Self::speaking(Some(Arc::new(tls)), Arc::new(|_| None)).await
    }

    async fn speaking(tls: Option<Arc<ServerConfig>>, script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let accepting = tokio::spawn(accept(listener, tls, script, Arc::clone(&seen)));
        Self { port, seen, accepting }
    }

    /// One that does as [`usual`].
    pub(crate) async fn usual() -> Self {
        Self::start(|_| None).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1");
        config.port(self.port);
        config.authentication(AuthMethod::sql_server("app", "Open-sesame1"));
        config.encryption(EncryptionLevel::NotSupported);
        config
    }

    pub(crate) fn store(&self, builder: MssqlStoreBuilder) -> MssqlStore {
        builder.build(self.config()).unwrap()
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    /// What was asked of this kind.
    pub(crate) fn asked_to(&self, what: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.what() == what).collect()
    }

    /// Returns when this was asked.
    pub(crate) async fn was_asked_to(&self, what: &str) -> Asked {
        self.was_asked_often(what, 1).await
    }

    /// Returns when this was asked so many times.
    pub(crate) async fn was_asked_often(&self, what: &str, times: usize) -> Asked {
        let last = || Some(self.asked_to(what)).filter(|asked| asked.len() >= times)?.pop();
        self.seen.until(what, last).await
    }

    /// Returns when this connection has ended, by which error if it was one.
    pub(crate) async fn was_closed(&self, connection: usize) -> Option<io::ErrorKind> {
        let closed = || {
            let closed = self.seen.closed.lock().unwrap();
            closed.iter().find(|(at, _)| *at == connection).map(|(_, error)| *error)
        };
        self.seen.until("to be closed", closed).await
    }
}

impl Seen {
    /// Returns what `found` finds, as soon as it does.
    async fn until<T>(&self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let finding = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = found() {
                    return found;
                }
                changed.await;
            }
        };
        match timeout(PATIENCE, finding).await {
            Ok(found) => found,
            Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Script = Arc<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;

async fn accept(listener: TcpListener, tls: Option<Arc<ServerConfig>>, script: Script, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    for connection in 1.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (tls, script, seen) = (tls.clone(), Arc::clone(&script), Arc::clone(&seen));
        connections.spawn(async move {
            let ended = greet(stream, tls, connection, &script, &seen).await;
            seen.closed.lock().unwrap().push((connection, ended.err().map(|error| error.kind())));
            seen.changed.notify_waiters();
        });
    }
}

async fn greet(
    mut stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    connection: usize,
    script: &Script,
    seen: &Seen,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return serve(stream, connection, script, seen).await };
    wire::read_message(&mut stream).await?;
    wire::write_message(&mut stream, &wire::prelogin(true)).await?;
    let (plain, passing) = encrypted::accept(stream, tls).await?;
    tokio::select! {
        ended = serve(plain, connection, script, seen) => ended,
        ended = passing => ended,
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    script: &Script,
    seen: &Seen,
) -> io::Result<()> {
    loop {
        let (kind, message) = wire::read_message(&mut stream).await?;
        let (sql, declared, parameters) = match kind {
            wire::PRELOGIN => {
                wire::write_message(&mut stream, &wire::prelogin(false)).await?;
                continue;
            }
            wire::LOGIN => ("login".to_owned(), String::new(), Vec::new()),
            wire::BATCH => (wire::batch(&message), String::new(), Vec::new()),
            wire::RPC => wire::rpc(&message),
            kind => panic!("a message of a kind not sent so far: {kind}"),
        };
        let asked = Asked { connection, sql, declared, parameters };
        let mut reply = script(&asked).unwrap_or_else(|| usual(&asked));
        seen.asked.lock().unwrap().push(asked);
        seen.changed.notify_waiters();
        if let Reply::Late(permits, answer) = reply {
            tokio::select! {
                permit = permits.acquire() => permit.unwrap().forget(),
                // The client gives up.
                _ = wire::read_message(&mut stream) => return Ok(()),
            }
            reply = *answer;
        }
        let last = if let Reply::Last(answer) = reply {
            reply = *answer;
            true
        } else {
            false
        };
        let answer = match reply {
            Reply::Rows(..) if kind == wire::LOGIN => wire::login_ack(),
            Reply::Rows(columns, rows) => wire::rows(columns, &rows),
            Reply::Error { number, class } => wire::error(number, class, "as the script says"),
            Reply::Route(host, port) => wire::routing(&host, port),
            // Until the client gives up.
            Reply::Silence => return wire::read_message(&mut stream).await.map(drop),
            Reply::Close | Reply::Last(_) | Reply::Late(..) => return Ok(()),
        };
        wire::write_message(&mut stream, &answer).await?;
        if last {
            return Ok(());
        }
    }
}
