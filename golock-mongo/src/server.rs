//! The server, by a client of the store's own: made and looked at for the first call, and shared out among operations.

use std::time::Duration;

use golock_core::backend::connected_within;
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ConnectionString, ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::error::{BACKEND, call_failed, failure};
use crate::options::{self, PLAIN_WITHIN};

/// How many connections releases have besides those of acquires.
const RELEASING: u32 = 5;

/// How many are left to renewals and the change stream, whatever else is going on.
const RENEWING: u32 = 3;

pub(crate) struct Server {
    place: Place,
    database: String,
    limit: Duration,
    /// Kept if looking at the server fails: its driver goes on trying to reach it.
    own: OnceCell<Own>,
}

/// Where the server is.
pub(crate) enum Place {
    Url(Box<ConnectionString>),
    Options(Box<ClientOptions>),
}

/// The store's own client.
pub(crate) struct Own {
    pub(crate) database: Database,
    /// Whose turn it is to acquire, or to do what can wait as long.
    acquiring: Semaphore,
    /// Whose turn it is to do anything but renew.
    sending: Semaphore,
    /// If it speaks TLS: options to find out whether the server does.
    without_tls: Option<ClientOptions>,
    /// Whether the server pushes changes; empty while it was not looked at.
    pushes: OnceCell<bool>,
}

impl Server {
    pub(crate) fn new(place: Place, database: String, limit: Duration) -> Self {
        // `maxTimeMS` is a 32-bit integer, and 0 stands for no limit.
        let limit = limit.clamp(Duration::from_millis(1), Duration::from_millis(i32::MAX as u64));
        Self { place, database, limit, own: OnceCell::new() }
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// How long a command may run on the server.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether it pushes changes; while that is not known: yes.
    pub(crate) fn pushes(&self) -> bool {
        self.own.get().and_then(|own| own.pushes.get()).is_none_or(|pushes| *pushes)
    }

    /// The client, once the server is known to be one for locks. Of those who ask at the same time one finds out for all; the next
    /// does if that fails or is given up.
    pub(crate) async fn own(&self) -> Result<&Own, StoreError> {
        let own = self.own.get_or_try_init(|| self.client()).await?;
        own.pushes.get_or_try_init(|| own.look(self.limit)).await?;
        Ok(own)
    }

    async fn client(&self) -> Result<Own, StoreError> {
        let options = match &self.place {
            Place::Url(url) => options::parse((**url).clone()).await?,
            Place::Options(options) => (**options).clone(),
        };
        let (options, acquiring) = options::ours(options, self.limit, RELEASING + RENEWING);
        let without_tls = options::without_tls(&options);
        let client = Client::with_options(options);
        let client = client.map_err(|error| call_failed(Operation::Connect, error))?;
        Ok(Own {
            database: client.database(&self.database),
            acquiring: Semaphore::new(acquiring as usize),
            sending: Semaphore::new(acquiring.saturating_add(RELEASING) as usize),
            without_tls,
            pushes: OnceCell::new(),
        })
    }
}

impl Own {
    /// Connects once, so that what is wrong is told: whether the server pushes changes.
    async fn look(&self, limit: Duration) -> Result<bool, StoreError> {
        let unfit = |kind, why| Err(failure(Operation::Connect, kind, why));
        // Finding a server and connecting to it, and its answer. The driver bounds neither handshake nor answer.
        let (within, late) =
            (limit.saturating_mul(2), "the server could be reached, but did not answer in time");
        let hello = match (connected_within(within, BACKEND, late, self.hello()).await, &self.without_tls) {
            (Err(error), Some(plain))
                if error.kind() == StoreErrorKind::Connection && answers(plain).await =>
            {
                return unfit(StoreErrorKind::Tls, "the server does not speak TLS");
            }
            (hello, _) => hello?,
        };
        if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return unfit(StoreErrorKind::Unavailable, "the server is no primary, at least for now");
        }
        if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
            let why =
                "a mongos of a sharded cluster: $$NOW is its own clock there, and each mongos has another";
            return unfit(StoreErrorKind::Configuration, why);
        }
        // A standalone server has no change streams.
        Ok(hello.contains_key("setName"))
    }

    async fn hello(&self) -> Result<Document, StoreError> {
        let hello = self.database.run_command(doc! { "hello": 1 }).selection_criteria(primary()).await;
        hello.map_err(|error| call_failed(Operation::Connect, error))
    }

    /// Renewals may use any connection, and wait for nobody's turn: the pool has a few that nobody else may use. Releases leave
    /// those alone, and all else leaves some to releases.
    pub(crate) async fn turn(&self, operation: Operation) -> [Option<SemaphorePermit<'_>>; 2] {
        // An error would say that the semaphore was closed, which nobody does.
        match operation {
            Operation::Renew => [None, None],
            Operation::Release | Operation::HandOver => [None, self.sending.acquire().await.ok()],
            _ => [self.acquiring.acquire().await.ok(), self.sending.acquire().await.ok()],
        }
    }
}

/// Whether there is a server, for these options, that answers.
async fn answers(options: &ClientOptions) -> bool {
    let Ok(client) = Client::with_options(options.clone()) else { return false };
    let admin = client.database("admin");
    let hello = async { admin.run_command(doc! { "hello": 1 }).await.is_ok() };
    timeout(PLAIN_WITHIN * 2, hello).await.unwrap_or(false)
}

pub(crate) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}
