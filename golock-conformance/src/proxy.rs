//! A TCP proxy between a client and its server, which does to their bytes what networks do, on command.
//!
//! Nothing happens by chance: bytes pass until they are held, and a held byte stays where it is until it is let
//! go. So a case can stop an operation at a stage (not sent, sent, executed but unanswered), act, and go on.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use golock_conformance::proxy::{Direction, Proxy};
//!
//! let proxy = Proxy::start("127.0.0.1:5432").await?;
//! // … connect a client to proxy.address() …
//! proxy.hold(Direction::ToClient);
//! // … let it ask: `proxy.held(Direction::ToClient).await` returns when the answer is stuck …
//! proxy.let_go(Direction::ToClient);
//! assert_eq!((proxy.connections(), proxy.round_trips()), (0, 0));
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Answers.
    ToClient,
}

/// A running proxy. Dropping it closes every connection.
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1, and connects each client to `server` (`host:port`).
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(server: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let control = Arc::new(Control::default());
        let accepting = tokio::spawn(accept(listener, server.into(), Arc::clone(&control)));
        Ok(Self { address, control, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections clients have opened so far.
    pub fn connections(&self) -> u64 {
        self.control.connections.load(Ordering::SeqCst)
    }

    /// How many times, over all connections, bytes of the server have followed bytes of the client.
    pub fn round_trips(&self) -> u64 {
        self.control.round_trips.load(Ordering::SeqCst)
    }

    /// Holds the bytes of one direction, on every connection, from now on.
    pub fn hold(&self, direction: Direction) {
        self.control.way(direction).holding.send_replace(true);
    }

    /// Lets them go again.
    pub fn let_go(&self, direction: Direction) {
        self.control.way(direction).holding.send_replace(false);
    }

    /// Returns when bytes of this direction are being held.
    pub async fn held(&self, direction: Direction) {
        let mut held = self.control.way(direction).held.subscribe();
        // An error would say that the sender is gone, and `self` has it.
        let _ = held.wait_for(|held| *held > 0).await;
    }

    /// Delays the bytes of one direction by this much from now on; zero: no longer.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.control.way(direction).delay.send_replace(delay);
    }

    /// Throws the next answer of the server away, and resets its connection: executed, but nobody was told.
    pub fn lose_next_answer(&self) {
        self.control.lose_next_answer.store(true, Ordering::SeqCst);
    }

    /// Whether the answer of [`lose_next_answer`](Self::lose_next_answer) is still to come.
    pub fn is_losing_an_answer(&self) -> bool {
        self.control.lose_next_answer.load(Ordering::SeqCst)
    }

    /// Resets every connection there is. New ones are accepted.
    pub fn reset_all(&self) {
        self.control.resets.send_modify(|resets| *resets += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Control {
    connections: AtomicU64,
    round_trips: AtomicU64,
    to_server: Way,
    to_client: Way,
    lose_next_answer: AtomicBool,
    resets: watch::Sender<u64>,
}

#[derive(Default)]
struct Way {
    holding: watch::Sender<bool>,
    held: watch::Sender<usize>,
    delay: watch::Sender<Duration>,
}

impl Control {
    fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

async fn accept(listener: TcpListener, server: String, control: Arc<Control>) {
    // Aborted with this task when the proxy is dropped.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        control.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(connect(client, server.clone(), Arc::clone(&control)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(client: TcpStream, server: String, control: Arc<Control>) {
    let mut resets = control.resets.subscribe();
    resets.mark_unchanged();
    // A client whose server is not there sees its connection closed.
    let Ok(server) = TcpStream::connect(server).await else { return };
    // Without delay: a round trip counts, not what Nagle makes of it.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let link = Link { control: &control, asked: AtomicBool::new(false) };
    tokio::select! {
        _ = link.pump(Direction::ToServer, from_client, to_server) => {}
        _ = link.pump(Direction::ToClient, from_server, to_client) => {}
        _ = resets.changed() => {}
    }
}

/// One connection.
struct Link<'a> {
    control: &'a Control,
    /// The last bytes were the client's.
    asked: AtomicBool,
}

impl Link<'_> {
    async fn pump(
        &self,
        direction: Direction,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            match direction {
                Direction::ToServer => self.asked.store(true, Ordering::SeqCst),
                Direction::ToClient => {
                    if self.asked.swap(false, Ordering::SeqCst) {
                        self.control.round_trips.fetch_add(1, Ordering::SeqCst);
                    }
                    if self.control.lose_next_answer.swap(false, Ordering::SeqCst) {
                        return Ok(());
                    }
                }
            }
            self.stay(direction).await;
            to.write_all(&buffer[..length]).await?;
        }
    }

    /// Returns when the bytes may go on.
    async fn stay(&self, direction: Direction) {
        let way = self.control.way(direction);
        let delay = *way.delay.borrow();
        if !delay.is_zero() {
            time::sleep(delay).await;
        }
        let mut holding = way.holding.subscribe();
        if *holding.borrow_and_update() {
            let _counted = Counted::new(&way.held);
            // An error would say that the sender is gone, and `self.control` has it.
            let _ = holding.wait_for(|holding| !holding).await;
        }
    }
}

/// One held packet, also if its connection ends meanwhile.
struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn new(held: &'a watch::Sender<usize>) -> Self {
        held.send_modify(|held| *held += 1);
        Self(held)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}
