//! Security on MongoDB: TLS, passwords, names that are more than names, privileges.
//!
//! Of TLS this proves the client's part: what stands in for MongoDB where that can't be had speaks none, so a relay of the
//! tests' own ends it in front of the server.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod identifiers;
mod privileges;
mod relay;
mod secrets;
#[path = "../server/mod.rs"]
mod server;
mod tls;

use std::process::ExitCode;

use golock_conformance::security::{self, Guarded, Recipe, tests};
use golock_mongo::mongodb::Client;

fn main() -> ExitCode {
    let tests = tests![
        tls::tls_of_a_trusted_authority_is_spoken,
        tls::tls_of_another_authority_is_refused,
        tls::tls_of_another_host_is_refused,
        tls::plaintext_that_the_server_refuses_is_told,
        secrets::passwords_are_shown_nowhere,
        identifiers::collections_mean_exactly_themselves_or_are_refused,
        identifiers::databases_mean_exactly_themselves_or_are_refused,
        identifiers::names_of_locks_mean_exactly_themselves,
        privileges::printed_actions_suffice_and_each_is_needed,
    ];
    security::main(vec![("mongo", Recipe::new(server::ready))], &tests)
}

/// The administrator's.
async fn admin(server: &Guarded) -> Client {
    Client::with_uri_str(server.url()).await.unwrap()
}
