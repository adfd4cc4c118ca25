//! Security on Redis and Valkey: TLS, passwords, prefixes that are more than prefixes, privileges. The servers speak TLS only.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod identifiers;
mod privileges;
mod secrets;
mod tls;

use std::process::ExitCode;

use golock_conformance::BoxError;
use golock_conformance::security::{self, Authority, Guarded, Recipe, tests};
use golock_core::StoreErrorKind;
use golock_redis::RedisStore;
use golock_redis::fred::clients::Client;
use golock_redis::fred::interfaces::ClientLike;
use golock_redis::fred::types::config::{Config, TlsConnector};
use golock_redis::fred::types::{ClusterHash, CustomCommand, Value};

fn main() -> ExitCode {
    if let Ok(url) = std::env::var(tls::CHILD) {
        return tls::connect_as_a_child(&url);
    }
    let tests = tests![
        tls::tls_of_a_trusted_authority_is_spoken,
        tls::tls_of_an_authority_named_by_the_environment_is_spoken,
        tls::tls_of_another_authority_is_refused,
        tls::tls_of_another_host_is_refused,
        tls::plaintext_that_the_server_refuses_is_told,
        secrets::passwords_are_shown_nowhere,
        identifiers::prefixes_mean_exactly_themselves_or_are_refused,
        identifiers::names_of_locks_mean_exactly_themselves,
        privileges::printed_rules_suffice_and_each_command_is_needed,
    ];
    security::main(vec![("redis", recipe("redis-server")), ("valkey", recipe("valkey-server"))], &tests)
}

fn recipe(binary: &str) -> Recipe {
    // To a client without TLS it has nothing else to say.
    let answers = async |url: String| -> Result<(), BoxError> {
        match RedisStore::connect(&url).await {
            Err(error) if error.kind() == StoreErrorKind::Tls => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Err("it answers without TLS".into()),
        }
    };
    let command = "--port 0 --tls-port 6379 --tls-auth-clients no --tls-ca-cert-file /tls/ca.pem \
                   --tls-cert-file /tls/cert.pem --tls-key-file /tls/key.pem";
    let words: Vec<&str> =
        [binary].into_iter().chain(command.split_whitespace()).chain(["--save", ""]).collect();
    Recipe::new(answers).command(&words)
}

/// An application's client, not connected, that trusts this authority.
fn client(host: &str, port: u16, authority: &Authority, user: Option<(&str, &str)>) -> Client {
    let mut config = Config::from_url(&format!("redis://{host}:{port}")).unwrap();
    config.tls = Some(TlsConnector::from(authority.client()).into());
    if let Some((name, password)) = user {
        (config.username, config.password) = (Some(name.to_owned()), Some(password.to_owned()));
    }
    Client::new(config, None, None, None)
}

/// The administrator's.
fn root(server: &Guarded) -> Client {
    client("localhost", server.port(), server.authority(), None)
}

/// A command of the administrator's, as one types it.
async fn run(server: &Guarded, words: &[&str]) -> Value {
    let admin = root(server);
    admin.init().await.unwrap();
    let (name, arguments) = words.split_first().unwrap();
    let command = CustomCommand::new((*name).to_owned(), ClusterHash::Random, false);
    let arguments: Vec<Value> = arguments.iter().map(|&word| word.into()).collect();
    let answer = admin.custom(command, arguments).await.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    admin.quit().await.unwrap();
    answer
}
