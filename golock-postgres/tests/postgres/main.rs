//! What the suite of golock-conformance can't know: the ways of PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

mod rows;
mod schema;
#[path = "../server/mod.rs"]
mod server;
mod sessions;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use golock_conformance::BoxError;
use golock_conformance::servers::{self, Changes, Server, tests};
use golock_core::StoreError;
use golock_core::store::{Wakeup, Wakeups};

use self::server::connect;

fn main() -> ExitCode {
    let tests = tests![
        schema::missing_table_is_told_and_found_when_it_is_there,
        schema::dropped_table_is_made_anew,
        schema::what_a_trigger_misses_is_told,
        schema::schema_is_created_with_its_table_by_many_at_once,
        schema::names_of_schema_and_table_are_quoted,
        sessions::settings_of_the_session_are_repaired,
        sessions::stronger_durability_is_left_alone,
        sessions::weaker_durability_is_raised,
        sessions::fence_against_all_writes_is_respected,
        sessions::acquires_make_room_for_renewals_and_releases,
        sessions::serialization_failure_is_retried_inside,
        sessions::pool_of_the_application_is_left_alone,
        sessions::pool_is_not_waited_for,
        schema::database_of_another_encoding_keeps_names_and_labels,
        rows::labels_of_others_hide_no_lock,
        rows::purge_spares_tokens_ahead_of_the_clock,
        rows::purge_goes_through_a_large_table,
        rows::one_locked_row_keeps_no_other_waiting,
        rows::renewal_that_waits_revives_no_expired_lease,
        sessions::words_of_the_driver_are_understood,
        sessions::locker_locks_over_a_url,
    ];
    let answers = async |url: String| -> Result<(), BoxError> { Ok(connect(&url).await.map(drop)?) };
    servers::main(vec![("postgres", Server::open("postgres", Changes::default(), answers))], AT_ONCE, &tests)
}

const AT_ONCE: usize = 2;

async fn next(wakeups: &mut Wakeups) -> Option<Wakeup> {
    let next = std::future::poll_fn(|cx| wakeups.as_mut().poll_next(cx));
    tokio::time::timeout(Duration::from_secs(30), next).await.unwrap()
}

/// An error and its sources.
fn said(error: &StoreError) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said += &format!(": {error}");
        source = error.source();
    }
    said
}
