//! One leader among many processes, for as long as it lives: start it in two terminals, then stop one.
//! `cargo run --example leader`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use golock_postgres::{LockOptions, LockWatch, Locker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let locker = golock_postgres::connect(&golock_examples::database_url()).await?;
    let outcome = candidate(&locker).await;
    locker.shutdown(Duration::from_secs(5)).await; // what may be granted by now, or was dropped, is given back
    outcome
}

async fn candidate(locker: &Locker) -> Result<(), Box<dyn Error>> {
    let office = LockOptions::new("leader").lock_at_most(Duration::from_secs(10)).auto_renew(true);
    let mut stopped = pin!(tokio::signal::ctrl_c());
    loop {
        println!("waiting for the office");
        let lock = tokio::select! {
            lock = locker.lock(office.clone()) => lock?,
            stopped = &mut stopped => return Ok(stopped?),
        };
        println!("leading under token {}", lock.token());
        tokio::select! {
            biased;
            // Ready before anybody else can lead: `lead` is dropped where it stands.
            reason = lock.lost() => println!("no longer the leader: {reason}"),
            () = lead(lock.watch()) => {}
            stopped = &mut stopped => {
                lock.unlock().await?; // the next one leads at once, not after the lease
                return Ok(stopped?);
            }
        }
    }
}

async fn lead(office: LockWatch) {
    loop {
        println!("leading, {:.1} s of the lease left", office.remaining().as_secs_f64());
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
