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

mod link;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
        let accepting = tokio::spawn(link::accept(listener, server.into(), Arc::clone(&control)));
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

    /// Throws the next request of a client away, and resets its connection: nothing was executed.
    pub fn lose_next_request(&self) {
        self.control.lose_next_request.store(true, Ordering::SeqCst);
    }

    /// Whether the request of [`lose_next_request`](Self::lose_next_request) is still to come.
    pub fn is_losing_a_request(&self) -> bool {
        self.control.lose_next_request.load(Ordering::SeqCst)
    }

    /// Passes half of the next answer of the server on, and resets its connection.
    pub fn cut_next_answer(&self) {
        self.control.cut_next_answer.store(true, Ordering::SeqCst);
    }

    /// Whether the answer of [`cut_next_answer`](Self::cut_next_answer) is still to come.
    pub fn is_cutting_an_answer(&self) -> bool {
        self.control.cut_next_answer.load(Ordering::SeqCst)
    }

    /// Takes back what was asked of the next request or answer, if none has come.
    pub fn spare_the_next(&self) {
        for next in
            [&self.control.lose_next_request, &self.control.lose_next_answer, &self.control.cut_next_answer]
        {
            next.store(false, Ordering::SeqCst);
        }
    }

    /// Swallows all bytes of both directions from now on: connections stay, and new ones succeed, but nothing arrives.
    pub fn begin_blackhole(&self) {
        self.control.blackhole.send_replace(true);
    }

    /// Swallows no more. Connections that lost bytes are reset, for what is left of them makes no sense.
    pub fn end_blackhole(&self) {
        self.control.blackhole.send_replace(false);
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
    lose_next_request: AtomicBool,
    lose_next_answer: AtomicBool,
    cut_next_answer: AtomicBool,
    blackhole: watch::Sender<bool>,
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
