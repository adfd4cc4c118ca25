//! Creating a table, by as many processes at once as may start.

use crate::store::{StoreError, StoreErrorKind};

/// Two that create the same table collide once; a schema besides, twice.
const TRIES: usize = 3;

/// Makes a call; if it fails because the table is not there, creates the table and makes the call again. Nobody has to look for the
/// table first, and whoever may not create tables can use one that is there.
///
/// `IF NOT EXISTS` looks before it leaps on most servers, so of two at once one fails, in one of several ways: besides conflicts
/// `is_collision` knows those after which it may not be there yet, and another try may do. All that counts is whether it is there in
/// the end.
///
/// # Errors
/// Those of `call`; if the table is not there in the end, what `create` failed with.
///
/// # Cancel safety
/// Dropping the future drops what it called. The table may have been created.
pub async fn creating_what_is_missing<Calling, Creating, T, C>(
    call: impl Fn() -> Calling,
    is_missing: impl Fn(&StoreError) -> bool,
    create: impl Fn() -> Creating,
    is_collision: impl Fn(&StoreError) -> bool,
) -> Result<T, StoreError>
where
    Calling: Future<Output = Result<T, StoreError>>,
    Creating: Future<Output = Result<C, StoreError>>,
{
    let is_collision = |error: &StoreError| error.kind() == StoreErrorKind::Conflict || is_collision(error);
    let (mut tries, mut created) = (0..TRIES, Ok(()));
    loop {
        let missing = match call().await {
            Err(error) if is_missing(&error) => error,
            outcome => return outcome,
        };
        if created.as_ref().is_err_and(|error| !is_collision(error)) || tries.next().is_none() {
            return created.and(Err(missing));
        }
        created = create().await.map(drop);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{Ready, ready};

    use super::creating_what_is_missing;
    use crate::store::{Operation, StoreError, StoreErrorKind as Kind};

    fn failed<T>(kind: Kind) -> Result<T, StoreError> {
        Err(StoreError::new("test", Operation::CreateSchema, kind, "said"))
    }

    /// What a call came to, and how often the table was created, if it is there after so many tries, whose outcome is `created`.
    async fn beside_another(there_after: usize, created: Result<(), Kind>) -> (Result<(), Kind>, usize) {
        let tries = Cell::new(0);
        let call = || {
            ready(match tries.get() >= there_after {
                true => Ok(()),
                false => failed(Kind::SchemaMissing),
            })
        };
        let create = || {
            tries.set(tries.get() + 1);
            ready(created.or_else(failed::<()>))
        };
        let is_missing = |error: &StoreError| error.kind() == Kind::SchemaMissing;
        let is_collision = |error: &StoreError| error.kind() == Kind::Other;
        let outcome = creating_what_is_missing(call, is_missing, create, is_collision).await;
        (outcome.map_err(|error| error.kind()), tries.get())
    }

    #[tokio::test]
    async fn table_is_created_only_if_it_is_missing() {
        assert_eq!(beside_another(0, Err(Kind::Other)).await, (Ok(()), 0));
        assert_eq!(beside_another(1, Ok(())).await, (Ok(()), 1));
        assert_eq!(
            beside_another(9, Ok(())).await,
            (Err(Kind::SchemaMissing), 3),
            "made where no call finds it"
        );
    }

    #[tokio::test]
    async fn collisions_are_tried_again_while_it_is_not_there() {
        assert_eq!(beside_another(1, Err(Kind::Permission)).await, (Ok(()), 1), "another has made it");
        assert_eq!(beside_another(2, Err(Kind::Conflict)).await, (Ok(()), 2));
        assert_eq!(beside_another(2, Err(Kind::Other)).await, (Ok(()), 2));
        assert_eq!(beside_another(9, Err(Kind::Conflict)).await, (Err(Kind::Conflict), 3));
        assert_eq!(beside_another(9, Err(Kind::Permission)).await, (Err(Kind::Permission), 1));
    }

    #[tokio::test]
    async fn other_failure_of_the_call_is_the_callers() {
        let create = || -> Ready<Result<(), StoreError>> { panic!("the table is there") };
        let call = || ready(failed::<()>(Kind::Timeout));
        let outcome = creating_what_is_missing(call, |_| false, create, |_| true);
        assert_eq!(outcome.await.unwrap_err().kind(), Kind::Timeout);
    }
}
