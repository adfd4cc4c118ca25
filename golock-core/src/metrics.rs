//! The names of golock's metrics: what they tell, and by which labels, is the table in the crate's documentation.
//!
//! They go to whatever recorder the service installs for the [`metrics`](https://docs.rs/metrics) facade.

use std::time::Duration;

use ::metrics::{
    Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::engine::Series;
use crate::{LostReason, StoreError};

/// Histogram: from asking for a lock to having it.
pub const WAIT_SECONDS: &str = "golock_wait_seconds";
/// Histogram: from having a lock to giving it back, or losing it.
pub const HOLD_SECONDS: &str = "golock_hold_seconds";
/// Gauge: locks held now.
pub const HELD: &str = "golock_held";
/// Gauge: callers that have asked for a lock and have no answer yet.
pub const WAITING: &str = "golock_waiting";
/// Counter: callers that were refused because another holds the lock.
pub const CONTENTION_TOTAL: &str = "golock_contention_total";
/// Counter: renewals and extensions that the store confirmed, one a lease.
pub const RENEWALS_TOTAL: &str = "golock_renewals_total";
/// Counter: locks that were lost before they were given back.
pub const LOST_TOTAL: &str = "golock_lost_total";
/// Counter: calls of the store that failed, those that are repeated included.
pub const ERRORS_TOTAL: &str = "golock_errors_total";

/// Label of all: the backend, `postgres`.
pub const BACKEND: &str = "backend";
/// Label of all but the errors, which may concern many locks: what
/// [`LockerBuilder::group`](crate::LockerBuilder::group) makes of the name.
pub const GROUP: &str = "group";
/// Label of losses: the [`LostReason`], `Expired`.
pub const REASON: &str = "reason";
/// Label of errors: the [`Operation`](crate::store::Operation), `acquire`.
pub const OPERATION: &str = "operation";
/// Label of errors: the [`StoreErrorKind`](crate::StoreErrorKind), `Timeout`.
pub const KIND: &str = "kind";

/// Tells the recorder what the metrics are, in which unit.
pub(crate) fn describe() {
    describe_histogram!(WAIT_SECONDS, Unit::Seconds, "From asking for a lock to having it");
    describe_histogram!(HOLD_SECONDS, Unit::Seconds, "From having a lock to giving it back or losing it");
    describe_gauge!(HELD, Unit::Count, "Locks held now");
    describe_gauge!(WAITING, Unit::Count, "Callers that have asked for a lock and have no answer yet");
    describe_counter!(CONTENTION_TOTAL, Unit::Count, "Callers refused because another holds the lock");
    describe_counter!(RENEWALS_TOTAL, Unit::Count, "Renewals and extensions that the store confirmed");
    describe_counter!(LOST_TOTAL, Unit::Count, "Locks lost before they were given back");
    describe_counter!(ERRORS_TOTAL, Unit::Count, "Calls of the store that failed");
}

pub(crate) fn asked(series: &Series) {
    gauge!(WAITING, labels(series)).increment(1.0);
}

pub(crate) fn answered(series: &Series) {
    gauge!(WAITING, labels(series)).decrement(1.0);
}

pub(crate) fn granted(series: &Series, waited: Duration) {
    histogram!(WAIT_SECONDS, labels(series)).record(waited);
}

pub(crate) fn refused(series: &Series) {
    counter!(CONTENTION_TOTAL, labels(series)).increment(1);
}

pub(crate) fn holds(series: &Series) {
    gauge!(HELD, labels(series)).increment(1.0);
}

pub(crate) fn renewed(series: &Series) {
    counter!(RENEWALS_TOTAL, labels(series)).increment(1);
}

/// Given back, or lost.
pub(crate) fn ended(series: &Series, held_for: Duration) {
    gauge!(HELD, labels(series)).decrement(1.0);
    histogram!(HOLD_SECONDS, labels(series)).record(held_for);
}

pub(crate) fn lost(series: &Series, reason: LostReason) {
    let mut labels = labels(series);
    labels.push(Label::new(REASON, format!("{reason:?}")));
    counter!(LOST_TOTAL, labels).increment(1);
}

pub(crate) fn failed(error: &StoreError) {
    let labels = vec![
        Label::new(BACKEND, error.backend()),
        Label::new(OPERATION, error.operation().as_str()),
        Label::new(KIND, format!("{:?}", error.kind())),
    ];
    counter!(ERRORS_TOTAL, labels).increment(1);
}

fn labels(series: &Series) -> Vec<Label> {
    vec![Label::new(BACKEND, series.backend), Label::new(GROUP, series.group.clone())]
}
