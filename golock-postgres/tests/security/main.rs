//! Security on PostgreSQL: TLS, passwords, names that are more than names, privileges. The server speaks TLS only.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod identifiers;
mod privileges;
mod secrets;
mod tls;

use std::process::ExitCode;

use golock_conformance::BoxError;
use golock_conformance::security::{self, Guarded, Recipe, tests};
use golock_conformance::servers::unique;
use golock_postgres::deadpool_postgres::tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

/// The server takes its key only from a file of its own user. The public image's entry point has another name than ours.
const COMMAND: &str = "install -o postgres -m 600 /tls/key.pem /var/lib/postgresql/key.pem && \
     exec bash \"$(command -v docker-entrypoint.sh || echo /usr/local/bin/start)\" postgres \
     -c ssl=on -c ssl_cert_file=/tls/cert.pem -c ssl_key_file=/var/lib/postgresql/key.pem -c ssl_ca_file=/tls/ca.pem \
     -c hba_file=/tls/pg_hba.conf -c max_connections=1000 -c fsync=off";

/// The role `certified` needs a certificate instead of a password.
const TLS_ONLY: &str = "local all all trust
hostssl all certified all trust clientcert=verify-ca
hostssl all all all scram-sha-256
";

fn main() -> ExitCode {
    if let Ok(url) = std::env::var(tls::CHILD) {
        return tls::connect_as_a_child(&url);
    }
    let answers = async |url: String| -> Result<(), BoxError> {
        Ok(golock_postgres::tool_session(&url).await.map(drop)?)
    };
    let recipe = Recipe::new(answers).command(&["bash", "-c", COMMAND]).file("/tls/pg_hba.conf", TLS_ONLY);
    let tests = tests![
        tls::tls_of_a_trusted_authority_is_spoken,
        tls::tls_of_an_authority_named_by_the_environment_is_spoken,
        tls::tls_of_an_authority_named_by_the_url_is_spoken,
        tls::tls_of_none_but_that_authority_and_host_is_spoken,
        tls::certificate_named_by_the_url_is_shown_by_every_session,
        tls::tls_of_another_authority_is_refused,
        tls::tls_of_another_host_is_refused,
        tls::plaintext_that_the_server_refuses_is_told,
        secrets::passwords_are_shown_nowhere,
        identifiers::tables_mean_exactly_themselves_or_are_refused,
        identifiers::schemas_mean_exactly_themselves_or_are_refused,
        identifiers::names_of_locks_mean_exactly_themselves,
        identifiers::backslashes_escape_nothing_whatever_the_role_has_set,
        privileges::printed_grants_suffice_and_each_is_needed,
    ];
    security::main(vec![("postgres", recipe)], &tests)
}

/// An administrator's session.
async fn admin(server: &Guarded) -> Client {
    let url = server.url().replace("127.0.0.1", "localhost");
    let tls = MakeRustlsConnect::new(server.authority().client());
    let (client, connection) =
        golock_postgres::deadpool_postgres::tokio_postgres::connect(&url, tls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The server's URL for another user.
fn url_as(server: &Guarded, user: &str, password: &str) -> String {
    format!("postgres://{user}:{password}@{}/postgres", server.address())
}
