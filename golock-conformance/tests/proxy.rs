//! The proxy does what its methods say, between a client and a server that answers each byte with the next.
#![allow(clippy::unwrap_used, reason = "a connection that can't be had is a failed test")]

use std::time::{Duration, Instant};

use golock_conformance::proxy::{Direction, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

#[tokio::test]
async fn connections_and_round_trips_are_counted() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    for byte in 0..5 {
        assert_eq!(ask(&mut client, byte).await, Some(byte + 1));
    }
    let mut other = connect(&proxy).await;
    assert_eq!(ask(&mut other, 7).await, Some(8));
    assert_eq!((proxy.connections(), proxy.round_trips()), (2, 6));
}

#[tokio::test]
async fn held_bytes_go_on_when_they_are_let_go() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        let before = proxy.round_trips();
        proxy.hold(direction);
        client.write_all(&[1]).await.unwrap();
        proxy.held(direction).await;
        assert!(timeout(Duration::from_millis(50), client.read_u8()).await.is_err(), "not held");
        // Held on the way back, it has been answered.
        assert_eq!(proxy.round_trips() - before, u64::from(direction == Direction::ToClient));
        proxy.let_go(direction);
        assert_eq!(client.read_u8().await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_lost_answer_ends_its_connection_and_no_other() {
    let proxy = proxy().await;
    let (mut client, mut other) = (connect(&proxy).await, connect(&proxy).await);
    assert_eq!(ask(&mut other, 1).await, Some(2));
    proxy.lose_next_answer();
    assert!(proxy.is_losing_an_answer());
    assert_eq!(ask(&mut client, 1).await, None);
    assert!(!proxy.is_losing_an_answer());
    assert_eq!(ask(&mut other, 3).await, Some(4));
}

#[tokio::test]
async fn a_lost_request_never_arrives_and_ends_its_connection_and_no_other() {
    let proxy = proxy().await;
    let (mut client, mut other) = (connect(&proxy).await, connect(&proxy).await);
    assert_eq!(ask(&mut other, 1).await, Some(2));
    proxy.lose_next_request();
    assert!(proxy.is_losing_a_request());
    assert_eq!(ask(&mut client, 1).await, None);
    assert!(!proxy.is_losing_a_request());
    // The server answers what it gets: this one it never got.
    assert_eq!(proxy.round_trips(), 1);
    assert_eq!(ask(&mut other, 3).await, Some(4));
}

#[tokio::test]
async fn a_cut_answer_comes_by_half() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    proxy.hold(Direction::ToServer);
    proxy.cut_next_answer();
    client.write_all(&[1, 2, 3, 4]).await.unwrap();
    proxy.held(Direction::ToServer).await;
    proxy.let_go(Direction::ToServer);
    let mut answer = Vec::new();
    let ended = client.read_to_end(&mut answer).await;
    assert!(answer.len() < 4, "{answer:?}");
    // Without a goodbye.
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(!proxy.is_cutting_an_answer());
    assert_eq!(ask(&mut connect(&proxy).await, 1).await, Some(2));
}

#[tokio::test]
async fn what_did_not_come_is_spared() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    proxy.lose_next_request();
    proxy.lose_next_answer();
    proxy.cut_next_answer();
    proxy.spare_the_next();
    assert_eq!(ask(&mut client, 1).await, Some(2));
}

#[tokio::test]
async fn a_blackhole_swallows_and_then_resets_what_lost_bytes() {
    let proxy = proxy().await;
    let (mut client, mut idle) = (connect(&proxy).await, connect(&proxy).await);
    assert_eq!(ask(&mut idle, 1).await, Some(2));
    proxy.begin_blackhole();
    let mut late = connect(&proxy).await;
    for client in [&mut client, &mut late] {
        client.write_all(&[1]).await.unwrap();
        assert!(timeout(Duration::from_millis(50), client.read_u8()).await.is_err(), "answered");
    }
    proxy.end_blackhole();
    for client in [&mut client, &mut late] {
        assert!(client.read_u8().await.is_err());
    }
    assert_eq!(ask(&mut idle, 3).await, Some(4));
    assert_eq!(proxy.round_trips(), 2);
}

#[tokio::test]
async fn a_reset_ends_what_is_there_and_not_what_comes() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client, 1).await, Some(2));
    proxy.reset_all();
    assert_eq!(ask(&mut client, 1).await, None);
    assert_eq!(ask(&mut connect(&proxy).await, 1).await, Some(2));
}

#[tokio::test]
async fn a_delay_delays_and_ends() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    let delay = Duration::from_millis(100);
    proxy.delay(Direction::ToClient, delay);
    let asked = Instant::now();
    assert_eq!(ask(&mut client, 1).await, Some(2));
    assert!(asked.elapsed() >= delay);
    proxy.delay(Direction::ToClient, Duration::ZERO);
    assert_eq!(ask(&mut client, 1).await, Some(2));
}

#[tokio::test]
async fn dropping_it_ends_every_connection() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    assert_eq!(ask(&mut client, 1).await, Some(2));
    drop(proxy);
    assert_eq!(ask(&mut client, 1).await, None);
}

async fn proxy() -> Proxy {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = Proxy::start(server.local_addr().unwrap().to_string()).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = server.accept().await {
            tokio::spawn(async move {
                while let Ok(byte) = client.read_u8().await {
                    client.write_all(&[byte + 1]).await.unwrap();
                }
            });
        }
    });
    proxy
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// The answer, or `None` if the connection has ended.
async fn ask(client: &mut TcpStream, byte: u8) -> Option<u8> {
    client.write_all(&[byte]).await.ok()?;
    client.read_u8().await.ok()
}
