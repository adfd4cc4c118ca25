//! The statements, read from `pipelines/`, with the values of a request.
//!
//! Each is one expression of MongoDB's aggregation language: the row as it is after the statement. Values are bound as
//! variables by `$literal`, so that nothing a caller gives is ever read as an operator or a path.

use std::time::Duration;

use golock_core::GrantId;
use golock_core::store::{
    AcquireRequest, HandOverRequest, MarkRequest, Operation, ReleaseRequest, RenewRequest, StoreError,
    StoreErrorKind,
};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};

use crate::error::failure;

/// The largest token: a 64-bit integer of BSON has room for no more.
pub(crate) const MAX_TOKEN: i64 = i64::MAX;

pub(crate) struct Statements {
    acquire: Statement,
    renew: Statement,
    renew_each: Statement,
    release: Statement,
    hand_over: Statement,
    fence: Statement,
    mark_waiting: Statement,
    purge: Statement,
    alive: Bson,
}

impl Statements {
    pub(crate) fn load() -> Result<Self, StoreError> {
        let shared = parse(include_str!("pipelines/shared.jsonc"))?;
        let statement = |expression| Statement::of(&shared, expression);
        let renew = parse(include_str!("pipelines/renew.jsonc"))?;
        // Of many, what is asked for stands in the place that the row's name has among all.
        let in_place = doc! { "$arrayElemAt": ["$$all", { "$indexOfArray": ["$$names", "$_id"] }] };
        let release = parse(include_str!("pipelines/release.jsonc"))?;
        let hand_over = parse(include_str!("pipelines/hand_over.jsonc"))?;
        Ok(Self {
            acquire: statement(parse(include_str!("pipelines/acquire.jsonc"))?),
            renew_each: statement(doc! { "$let": { "vars": { "asked": in_place }, "in": renew.clone() } }),
            renew: statement(renew),
            hand_over: statement(doc! { "$let": { "vars": { "freed": release.clone() }, "in": hand_over } }),
            release: statement(release),
            fence: statement(parse(include_str!("pipelines/fence.jsonc"))?),
            mark_waiting: statement(parse(include_str!("pipelines/mark_waiting.jsonc"))?),
            purge: statement(parse(include_str!("pipelines/purge.jsonc"))?),
            alive: shared.get("alive").cloned().unwrap_or(Bson::Null),
        })
    }

    pub(crate) fn acquire(&self, request: &AcquireRequest) -> Document {
        update(
            &self.acquire,
            doc! {
                "grant": binary(request.grant),
                "lockBy": request.lock_by.as_str(),
                "lease": millis(request.lease),
            },
        )
    }

    pub(crate) fn renew(&self, request: &RenewRequest) -> Document {
        update(&self.renew, doc! { "asked": asked(request) })
    }

    /// What finds the rows of many leases, and what becomes of them.
    pub(crate) fn renew_each(&self, requests: &[RenewRequest]) -> (Document, Document) {
        let names: Vec<&str> = requests.iter().map(|request| request.name.as_str()).collect();
        let grants: Vec<Binary> = requests.iter().map(|request| binary(request.grant)).collect();
        let all: Vec<Document> = requests.iter().map(asked).collect();
        let filter = doc! { "_id": { "$in": names.clone() }, "grant": { "$in": grants } };
        (filter, update(&self.renew_each, doc! { "names": names, "all": all }))
    }

    pub(crate) fn release(&self, request: &ReleaseRequest) -> Document {
        let parameters = doc! { "grant": binary(request.grant), "atLeast": millis(request.lock_at_least) };
        update(&self.release, parameters)
    }

    pub(crate) fn hand_over(&self, request: &HandOverRequest) -> Document {
        let HandOverRequest { release, next, .. } = request;
        update(
            &self.hand_over,
            doc! {
                "grant": binary(release.grant),
                "atLeast": millis(release.lock_at_least),
                "next": binary(next.grant),
                "lockBy": next.lock_by.as_str(),
                "lease": millis(next.lease),
            },
        )
    }

    /// A filter: the row of a name that this grant holds, alive or not.
    pub(crate) fn held_by(&self, grant: GrantId) -> Document {
        doc! { "grant": binary(grant), "released": { "$ne": binary(grant) } }
    }

    pub(crate) fn fence(&self, at_once: bool) -> Document {
        update(&self.fence, doc! { "atOnce": at_once })
    }

    pub(crate) fn mark_waiting(&self, request: &MarkRequest) -> Document {
        update(&self.mark_waiting, doc! { "standing": millis(request.standing) })
    }

    /// A filter: the rows that a purge deletes.
    pub(crate) fn idle(&self, idle_for: Duration) -> Document {
        doc! { "$expr": self.purge.bound(doc! { "idle": millis(idle_for) }) }
    }

    /// A filter: the rows of names that are held.
    pub(crate) fn alive(&self) -> Document {
        doc! { "$expr": self.alive.clone() }
    }
}

/// One stage: in one, every expression sees the row as it was before.
fn update(statement: &Statement, parameters: Document) -> Document {
    doc! { "$replaceWith": statement.bound(parameters) }
}

/// An expression, and what it uses of that which all may use: a command of many carries it many times.
struct Statement {
    shared: Document,
    expression: Document,
}

impl Statement {
    fn of(shared: &Document, expression: Document) -> Self {
        let text = expression.to_string();
        let used = |name: &str| text.contains(&format!("\"$${name}\""));
        let shared = shared.clone().into_iter().filter(|(name, _)| used(name)).collect();
        Self { shared, expression }
    }

    fn bound(&self, parameters: Document) -> Document {
        let literals = parameters.into_iter().map(|(name, value)| (name, doc! { "$literal": value }.into()));
        let variables: Document = self.shared.clone().into_iter().chain(literals).collect();
        doc! { "$let": { "vars": variables, "in": self.expression.clone() } }
    }
}

fn asked(request: &RenewRequest) -> Document {
    doc! {
        "grant": binary(request.grant),
        "token": request.token.get(),
        "lease": millis(request.lease),
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
    serde_json::from_str(&json).map_err(|error| failure(Operation::Connect, StoreErrorKind::Other, error))
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
