//! Security on MySQL and MariaDB: TLS, passwords, names that are more than names, privileges. The servers speak TLS only.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]

mod identifiers;
mod privileges;
mod secrets;
mod tls;

use std::process::ExitCode;

use golock_conformance::BoxError;
use golock_conformance::security::{self, Guarded, Recipe, tests};
use golock_conformance::servers::unique;
use golock_mysql::mysql_async::prelude::Queryable;
use golock_mysql::mysql_async::{Conn, Error, Opts, OptsBuilder};

/// The database of all tests.
const DATABASE: &str = "guarded";

/// TLS, whoever signed the certificate: for what is not about TLS.
const ENCRYPTED: &str = "?require_ssl=true&verify_ca=false";

fn main() -> ExitCode {
    // Built together with other backends, rustls may have several providers, of which the process must choose.
    rustls::crypto::ring::default_provider().install_default().expect("nobody has chosen yet");
    let tests = tests![
        tls::tls_of_a_trusted_authority_is_spoken,
        tls::tls_of_another_authority_is_refused,
        tls::tls_of_another_host_is_refused,
        tls::a_host_is_verified_whatever_the_driver_is_told,
        tls::plaintext_that_the_server_refuses_is_told,
        secrets::passwords_are_shown_nowhere,
        identifiers::tables_mean_exactly_themselves_or_are_refused,
        identifiers::databases_mean_exactly_themselves_or_are_refused,
        identifiers::names_of_locks_mean_exactly_themselves,
        privileges::printed_grants_suffice_and_each_is_needed,
    ];
    security::main(vec![("mysql", recipe("mysqld")), ("mariadb", recipe("mariadbd"))], &tests)
}

fn recipe(binary: &str) -> Recipe {
    let answers =
        async |url: String| -> Result<(), BoxError> { Ok(connect(&url).await?.disconnect().await?) };
    Recipe::new(answers).command(&[
        binary,
        "--max-connections=1000",
        "--require-secure-transport=ON",
        "--ssl-ca=/tls/ca.pem",
        "--ssl-cert=/tls/cert.pem",
        "--ssl-key=/tls/key.pem",
    ])
}

/// An administrator's session, in the database of the tests.
async fn admin(server: &Guarded) -> Conn {
    connect(server.url()).await.unwrap()
}

async fn connect(url: &str) -> Result<Conn, Error> {
    let opts = Opts::from_url(&format!("{url}{ENCRYPTED}"))?;
    let mut conn = Conn::new(OptsBuilder::from_opts(opts).prefer_socket(false)).await?;
    conn.query_drop(format!("CREATE DATABASE IF NOT EXISTS {DATABASE}")).await?;
    conn.query_drop(format!("USE {DATABASE}")).await?;
    Ok(conn)
}

/// The administrator's URL for the database of the tests.
fn url(server: &Guarded) -> String {
    url_as(server, "root", "golock-test")
}

fn url_as(server: &Guarded, user: &str, password: &str) -> String {
    format!("mysql://{user}:{password}@{}/{DATABASE}{ENCRYPTED}", server.address())
}
