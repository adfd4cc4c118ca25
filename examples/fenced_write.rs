//! A write that a holder can't do too late: the row remembers the newest token, and the UPDATE refuses older ones.
//! `cargo run --example fenced_write`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use golock_postgres::{FencingToken, LockOptions};
use tokio_postgres::{Client, NoTls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = golock_examples::database_url();
    let locker = golock_postgres::connect(&url).await?;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS golock_example(id int PRIMARY KEY, balance int, fence bigint NOT NULL);
             INSERT INTO golock_example VALUES (1, 100, 0) ON CONFLICT DO NOTHING",
        )
        .await?;

    // A holder that hangs for longer than its lease, …
    let slow = locker.lock(LockOptions::new("account-1").lock_at_most(Duration::from_millis(500))).await?;
    let late = slow.token();
    slow.lost().await;
    // … the next one, which does its work in time, …
    let next = locker.lock(LockOptions::new("account-1")).await?;
    println!("token {}: {}", next.token(), withdraw(&client, 10, next.token()).await?);
    next.unlock().await?;
    // … and the first one, which wakes up and goes on.
    println!("token {late}: {}", withdraw(&client, 10, late).await?);
    Ok(())
}

async fn withdraw(
    client: &Client,
    amount: i32,
    token: FencingToken,
) -> Result<&'static str, tokio_postgres::Error> {
    let guarded = "UPDATE golock_example SET balance = balance - $1, fence = $2 WHERE id = 1 AND fence <= $2";
    let rows = client.execute(guarded, &[&amount, &token.get()]).await?;
    Ok(if rows == 1 { "withdrawn" } else { "refused: a newer holder has written" })
}
