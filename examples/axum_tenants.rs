//! A web service of several copies in which each tenant's import runs once at a time: `cargo run --example axum_tenants`,
//! then `curl -X POST http://127.0.0.1:3000/tenants/acme/import` from two terminals.
//!
//! A client that hangs up drops the handler's future, and with it the lock: golock gives it back. Ctrl-C lets the imports
//! that have begun come to their end.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error as _;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use golock_postgres::{Error, LockOptions, Locker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let locker = golock_postgres::connect(&golock_examples::database_url()).await?;
    let served = serve(locker.clone()).await;
    // What a client that hung up has left is still on its way back: without this its name may stay taken for the lease.
    locker.shutdown(Duration::from_secs(5)).await;
    Ok(served?)
}

async fn serve(locker: Locker) -> std::io::Result<()> {
    let app = Router::new().route("/tenants/{tenant}/import", post(import)).with_state(locker);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(stopped()).await
}

async fn stopped() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await; // nobody can be heard: it goes on until it is killed
    }
}

async fn import(
    State(locker): State<Locker>,
    Path(tenant): Path<String>,
) -> Result<String, (StatusCode, String)> {
    let turn = LockOptions::new(format!("import/{tenant}"))
        .lock_at_most(Duration::from_secs(30))
        .auto_renew(true)
        .wait(Duration::from_secs(2)); // a short queue; who waits longer is told to come back
    let token = locker
        .run(turn, |lock| async move {
            tokio::time::sleep(Duration::from_secs(5)).await; // the import, fenced by lock.token()
            lock.token()
        })
        .await
        .map_err(refusal)?;
    Ok(format!("imported under token {token}\n"))
}

fn refusal(error: Error) -> (StatusCode, String) {
    let status = match &error {
        error if error.is_held() => StatusCode::CONFLICT,
        Error::Invalid(_) => StatusCode::BAD_REQUEST, // a tenant of more than 255 bytes
        _ => {
            println!("{error}: {:?}", error.source());
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    (status, error.to_string())
}
