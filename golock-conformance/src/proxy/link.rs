//! One connection of the proxy: its bytes pass, wait, or are lost.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

use super::{Control, Direction};

/// Serves clients until this future is dropped, and their connections with it.
pub(super) async fn accept(listener: TcpListener, server: String, control: Arc<Control>) {
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
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let link = Link { control: &control, asked: AtomicBool::new(false), swallowed: AtomicBool::new(false) };
    let ended = tokio::select! {
        ended = link.pump(Direction::ToServer, &mut from_client, &mut to_server) => ended,
        ended = link.pump(Direction::ToClient, &mut from_server, &mut to_client) => ended,
        () = link.spat_out() => Ok(End::Reset),
        _ = resets.changed() => Ok(End::Reset),
    };
    if !matches!(ended, Ok(End::Closed)) {
        // No goodbye: closing sends RST.
        for stream in [to_client.as_ref(), to_server.as_ref()] {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// How a connection ended.
enum End {
    Closed,
    Reset,
}

/// One connection.
struct Link<'a> {
    control: &'a Control,
    /// The last bytes were the client's.
    asked: AtomicBool,
    /// Some bytes are gone.
    swallowed: AtomicBool,
}

impl Link<'_> {
    async fn pump(
        &self,
        direction: Direction,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
    ) -> io::Result<End> {
        let control = self.control;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(End::Closed);
            }
            if *control.blackhole.borrow() {
                self.swallowed.store(true, Ordering::SeqCst);
                continue;
            }
            match direction {
                Direction::ToServer => {
                    self.asked.store(true, Ordering::SeqCst);
                    if control.lose_next_request.swap(false, Ordering::SeqCst) {
                        return Ok(End::Reset);
                    }
                }
                Direction::ToClient => {
                    if self.asked.swap(false, Ordering::SeqCst) {
                        control.round_trips.fetch_add(1, Ordering::SeqCst);
                    }
                    if control.lose_next_answer.swap(false, Ordering::SeqCst) {
                        return Ok(End::Reset);
                    }
                    if control.cut_next_answer.swap(false, Ordering::SeqCst) {
                        to.write_all(&buffer[..length.div_ceil(2)]).await?;
                        return Ok(End::Reset);
                    }
                }
            }
            self.stay(direction).await;
            to.write_all(&buffer[..length]).await?;
        }
    }

    /// Returns when a blackhole that took bytes of this connection has ended.
    async fn spat_out(&self) {
        let mut blackhole = self.control.blackhole.subscribe();
        loop {
            // An error would say that the sender is gone, and `self.control` has it.
            let _ = blackhole.wait_for(|swallows| *swallows).await;
            let _ = blackhole.wait_for(|swallows| !swallows).await;
            if self.swallowed.load(Ordering::SeqCst) {
                return;
            }
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
