//! A user who may do what the schema says, and no more.

use std::sync::Arc;

use futures_util::StreamExt;
use golock_conformance::security::{Guarded, everything};
use golock_core::store::Wakeup;
use golock_core::{LockStore, StoreError, StoreErrorKind};
use golock_redis::RedisStore;

use super::{client, root, run};

const PREFIX: &str = "least privilege's [*]:";

/// What a store needs for databases other than the first, for replicas, behind Sentinel, and of a Cluster: not here.
const ELSEWHERE: [&str; 5] = ["+select", "+wait", "+role", "+cluster|slots", "+asking"];

/// Without these it locks all the same: it wakes nobody, or does not look whether the server may evict locks.
const COMFORTS: [&str; 4] = ["+publish", "+subscribe", "+info", "+client|id"];

pub(crate) async fn printed_rules_suffice_and_each_command_is_needed(server: Arc<Guarded>) {
    let builder = RedisStore::builder().prefix(PREFIX);
    let printed = builder.clone().build(&root(&server)).unwrap().schema();
    let rules = printed.lines().find_map(|line| line.strip_prefix("ACL SETUSER the_service ")).unwrap();
    let rules: Vec<&str> = rules.split(' ').map(|rule| rule.trim_matches('\'')).collect();
    let commands = rules
        .iter()
        .copied()
        .filter(|rule| rule.starts_with('+') && !ELSEWHERE.contains(rule) && !COMFORTS.contains(rule));

    let mut needless = Vec::new();
    for missing in [None].into_iter().chain(commands.map(Some)) {
        let granted = rules.iter().copied().filter(|rule| Some(*rule) != missing);
        let words: Vec<&str> =
            ["ACL", "SETUSER", "service", "reset", ">secret"].into_iter().chain(granted).collect();
        run(&server, &words).await;
        run(&server, &["SCRIPT", "FLUSH"]).await;
        let user = client("localhost", server.port(), server.authority(), Some(("service", "secret")));
        let done = locks_and_listens(&builder.clone().build(&user).unwrap()).await;
        match (missing, done) {
            (None, done) => assert!(done.unwrap(), "it hears nothing"),
            (Some(missing), Ok(true)) => needless.push(missing),
            (Some(_), Ok(false)) => {}
            // What a script did before it was stopped stays done: to the engine that is no refusal.
            (Some(missing), Err(error)) => assert!(
                error.kind() == StoreErrorKind::Permission
                    || format!("{error:?}").contains("ACL failure in script"),
                "without {missing}: {error:?}"
            ),
        }
        // What was begun is undone.
        run(&server, &["DEL", &format!("{PREFIX}everything")]).await;
        run(&server, &["ACL", "DELUSER", "service"]).await;
    }
    assert!(needless.is_empty(), "not needed: {needless:?}");
}

/// Whether it is also told of what is freed.
async fn locks_and_listens(store: &RedisStore) -> Result<bool, StoreError> {
    everything(store).await?;
    let mut wakeups = store.wakeups().unwrap();
    Ok(wakeups.next().await == Some(Wakeup::Listening))
}
