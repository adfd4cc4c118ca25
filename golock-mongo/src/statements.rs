//! The statements, read from `pipelines/`, with the values of a request.
//!
//! Each is one expression of MongoDB's aggregation language: the row as it is after the statement. Values are bound as
//! variables by `$literal`, so that nothing a caller gives is ever read as an operator or a path.

use std::time::Duration;

use golock_core::GrantId;
use golock_core::store::{
    AcquireRequest, MarkRequest, ReleaseRequest, RenewRequest, StoreError, StoreErrorKind,
};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};

use crate::error::cannot_connect;

/// The largest token: a 64-bit integer of BSON has room for no more.
pub(crate) const MAX_TOKEN: i64 = i64::MAX;

pub(crate) struct Statements {
    shared: Document,
    acquire: Document,
    renew: Document,
    release: Document,
    fence: Document,
    mark_waiting: Document,
    purge: Document,
}

impl Statements {
    pub(crate) fn load() -> Result<Self, StoreError> {
        Ok(Self {
            shared: parse(include_str!("pipelines/shared.jsonc"))?,
            acquire: parse(include_str!("pipelines/acquire.jsonc"))?,
            renew: parse(include_str!("pipelines/renew.jsonc"))?,
            release: parse(include_str!("pipelines/release.jsonc"))?,
            fence: parse(include_str!("pipelines/fence.jsonc"))?,
            mark_waiting: parse(include_str!("pipelines/mark_waiting.jsonc"))?,
            purge: parse(include_str!("pipelines/purge.jsonc"))?,
        })
    }

    pub(crate) fn acquire(&self, request: &AcquireRequest) -> Document {
        self.update(
            &self.acquire,
            doc! {
                "grant": binary(request.grant),
                "lockBy": request.lock_by.as_str(),
                "lease": millis(request.lease),
            },
        )
    }

    pub(crate) fn renew(&self, request: &RenewRequest) -> Document {
        self.update(
            &self.renew,
            doc! {
                "grant": binary(request.grant),
                "token": request.token.get(),
                "lease": millis(request.lease),
            },
        )
    }

    pub(crate) fn release(&self, request: &ReleaseRequest) -> Document {
        let parameters = doc! { "grant": binary(request.grant), "atLeast": millis(request.lock_at_least) };
        self.update(&self.release, parameters)
    }

    pub(crate) fn fence(&self, at_once: bool) -> Document {
        self.update(&self.fence, doc! { "atOnce": at_once })
    }

    pub(crate) fn mark_waiting(&self, request: &MarkRequest) -> Document {
        self.update(&self.mark_waiting, doc! { "standing": millis(request.standing) })
    }

    /// A filter: the rows that a purge deletes.
    pub(crate) fn idle(&self, idle_for: Duration) -> Document {
        doc! { "$expr": self.bound(&self.purge, doc! { "idle": millis(idle_for) }) }
    }

    /// A filter: the rows of names that are held.
    pub(crate) fn alive(&self) -> Document {
        doc! { "$expr": self.shared.get("alive").cloned().unwrap_or(Bson::Null) }
    }

    /// One stage: in one, every expression sees the row as it was before.
    fn update(&self, statement: &Document, parameters: Document) -> Document {
        doc! { "$replaceWith": self.bound(statement, parameters) }
    }

    fn bound(&self, expression: &Document, parameters: Document) -> Document {
        let literals = parameters.into_iter().map(|(name, value)| (name, doc! { "$literal": value }.into()));
        let variables: Document = self.shared.clone().into_iter().chain(literals).collect();
        doc! { "$let": { "vars": variables, "in": expression.clone() } }
    }
}

pub(crate) fn binary(grant: GrantId) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: grant.as_bytes().to_vec() }
}

/// Whole milliseconds, no less than asked for; a thousand years at most, which a date has room for.
pub(crate) fn millis(time: Duration) -> i64 {
    const MOST: i64 = 1_000 * 365 * 24 * 60 * 60 * 1_000;
    i64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(MOST).min(MOST)
}

/// JSON with lines of comment.
fn parse(text: &str) -> Result<Document, StoreError> {
    let json: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    serde_json::from_str(&json).map_err(|error| cannot_connect(StoreErrorKind::Other, error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use golock_core::store::AcquireRequest;
    use golock_core::{GrantId, Label, LockName};

    use super::{Statements, millis};

    #[test]
    fn times_are_rounded_up_and_kept_in_range() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(10)), 10);
        assert_eq!(millis(Duration::MAX), 31_536_000_000_000);
    }

    #[test]
    fn a_label_is_never_read_as_a_path() {
        let request = AcquireRequest::new(
            LockName::new("name").unwrap(),
            GrantId::from_bytes([7; 16]),
            Label::new("$token").unwrap(),
            Duration::from_secs(1),
        );
        let pipeline = Statements::load().unwrap().acquire(&request).to_string();
        assert!(pipeline.contains(r#""lockBy": { "$literal": "$token" }"#), "{pipeline}");
    }
}
