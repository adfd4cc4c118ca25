//! A server between the store and its own, which answers some commands itself, as other servers would, or adds something
//! to the real answer.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use golock_mongo::mongodb::bson::{Document, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of a command.
pub(crate) enum Fate {
    /// The server answers it.
    Pass,
    /// It never reaches the server, which answers so instead.
    Answered(Document),
    /// The server answers it, and these fields are added to its answer.
    Amended(Document),
}

type Judge = Arc<dyn Fn(&Document) -> Fate + Send + Sync>;

pub(crate) struct Meddler {
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Meddler {
    pub(crate) async fn start(
        server: &str,
        judge: impl Fn(&Document) -> Fate + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (server, judge): (_, Judge) = (server.to_owned(), Arc::new(judge));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connect(client, server.clone(), judge.clone()));
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Between the store and the server at `url`.
pub(crate) async fn meddler(url: &str, judge: impl Fn(&Document) -> Fate + Send + Sync + 'static) -> Meddler {
    let (_, rest) = url.split_once("://").unwrap();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    Meddler::start(place.split(['/', '?']).next().unwrap(), judge).await.unwrap()
}

/// An error as a server answers it.
pub(crate) fn error(code: i32, name: &str) -> Document {
    doc! { "ok": 0.0, "code": code, "codeName": name, "errmsg": "the meddler says so" }
}

async fn connect(client: TcpStream, server: String, judge: Judge) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (to_client, amendments) = (Arc::new(tokio::sync::Mutex::new(to_client)), Mutex::new(HashMap::new()));
    let asking = async {
        loop {
            let message = Message::read(&mut from_client).await?;
            match message.document().map_or(Fate::Pass, |command| judge(&command)) {
                Fate::Pass => {}
                Fate::Amended(fields) => drop(amendments.lock().unwrap().insert(message.id(), fields)),
                Fate::Answered(answer) => {
                    let answer = Message::answering(message.id(), &answer);
                    answer.write(&mut *to_client.lock().await).await?;
                    continue;
                }
            }
            message.write(&mut to_server).await?;
        }
    };
    let answering = async {
        loop {
            let mut answer = Message::read(&mut from_server).await?;
            let fields = amendments.lock().unwrap().remove(&answer.answers());
            if let (Some(fields), Some(mut amended)) = (fields, answer.document()) {
                amended.extend(fields);
                answer = Message::answering(answer.answers(), &amended);
            }
            answer.write(&mut *to_client.lock().await).await?;
        }
    };
    tokio::select! {
        ended = asking => ended,
        ended = answering => ended,
    }
}

/// A message of MongoDB's protocol: length, its id, the id that it answers, its kind, and what follows.
struct Message(Vec<u8>);

const OP_MSG: i32 = 2013;
const HEADER: usize = 16;

impl Message {
    async fn read(from: &mut OwnedReadHalf) -> io::Result<Self> {
        let length = from.read_i32_le().await?;
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        from.read_exact(&mut bytes[4..]).await?;
        Ok(Self(bytes))
    }

    async fn write(&self, to: &mut OwnedWriteHalf) -> io::Result<()> {
        to.write_all(&self.0).await
    }

    fn answering(id: i32, document: &Document) -> Self {
        let document = document.to_vec().unwrap();
        let length = i32::try_from(HEADER + 5 + document.len()).unwrap();
        // No flags, and one section of kind 0.
        let header = [length, 0, id, OP_MSG, 0].map(i32::to_le_bytes).concat();
        Self([header, vec![0], document].concat())
    }

    fn id(&self) -> i32 {
        self.number(4)
    }

    fn answers(&self) -> i32 {
        self.number(8)
    }

    fn document(&self) -> Option<Document> {
        let is_document = self.number(12) == OP_MSG && self.0[HEADER + 4] == 0;
        is_document.then(|| Document::from_reader(&self.0[HEADER + 5..]).unwrap())
    }

    fn number(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
    }
}
