//! Creating a table, by as many processes at once as may start.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::store::{StoreError, StoreErrorKind};

/// Two that create the same table collide once; a schema besides, twice.
const TRIES: usize = 3;

/// What a store creates when it finds it missing: its table.
///
/// Nobody has to look for it first, and whoever may not create tables can use one that is there.
#[derive(Debug)]
pub struct Creation {
    wanted: bool,
    /// How often it was tried.
    tried: AtomicU64,
    /// Whose turn it is to try, and what the last try failed with.
    last: Mutex<Result<(), StoreError>>,
}

impl Creation {
    /// `wanted`: if not, an administrator has done it.
    pub fn new(wanted: bool) -> Self {
        Self { wanted, tried: AtomicU64::new(0), last: Mutex::new(Ok(())) }
    }

    /// Makes a call; if it fails because the table is missing, creates the table and makes the call again. Of calls that find it
    /// missing at the same time one creates it for all.
    ///
    /// `IF NOT EXISTS` looks before it leaps on most servers, so of two processes at once one fails, in one of several ways: besides
    /// conflicts `is_collision` knows those after which it may not be there yet, and another try may do. All that counts is whether
    /// it is there in the end.
    ///
    /// # Errors
    /// Those of `call`; if the table could not be created, what `create` failed with.
    ///
    /// # Cancel safety
    /// Dropping the future drops what it called. The table may have been created.
    pub async fn around<Calling, Creating, T, C>(
        &self,
        call: impl Fn() -> Calling,
        is_missing: impl Fn(&StoreError) -> bool,
        create: impl Fn() -> Creating,
        is_collision: impl Fn(&StoreError) -> bool,
    ) -> Result<T, StoreError>
    where
        Calling: Future<Output = Result<T, StoreError>>,
        Creating: Future<Output = Result<C, StoreError>>,
    {
        let (mut tries, mut created) = (0..TRIES, None::<Result<(), StoreError>>);
        loop {
            let tried = self.tried.load(Ordering::SeqCst);
            let missing = match call().await {
                Err(error) if self.wanted && is_missing(&error) => error,
                outcome => return outcome,
            };
            let is_last = tries.next().is_none();
            match created {
                None => {}
                Some(Err(error)) if is_collision(&error) && !is_last => {}
                Some(Err(error)) if error.kind() == StoreErrorKind::Conflict && !is_last => {}
                // It is there, so what is missing is something else: what a trigger writes to, say.
                Some(Ok(())) => return Err(missing),
                Some(Err(error)) if is_collision(&error) => return Err(missing),
                Some(Err(error)) => {
                    tracing::debug!(%missing, "and could not be created");
                    return Err(error);
                }
            }
            let mut last = self.last.lock().await;
            if self.tried.load(Ordering::SeqCst) == tried {
                *last = create().await.map(drop);
                self.tried.store(tried + 1, Ordering::SeqCst);
            }
            created = Some(last.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use tokio::sync::Barrier;

    use super::Creation;
    use crate::store::{Operation, StoreError, StoreErrorKind as Kind};

    fn failed<T>(kind: Kind) -> Result<T, StoreError> {
        Err(StoreError::new("test", Operation::CreateSchema, kind, "said"))
    }

    fn is_missing(error: &StoreError) -> bool {
        error.kind() == Kind::SchemaMissing
    }

    fn is_collision(error: &StoreError) -> bool {
        error.kind() == Kind::Other
    }

    /// What a call came to, and how often the table was created, if it is there after so many tries, whose outcome is `created`.
    async fn beside_another(there_after: usize, created: Result<(), Kind>) -> (Result<(), Kind>, usize) {
        let tries = Cell::new(0);
        let call = || ready(if tries.get() >= there_after { Ok(()) } else { failed(Kind::SchemaMissing) });
        let create = || {
            tries.set(tries.get() + 1);
            ready(created.or_else(failed::<()>))
        };
        let outcome = Creation::new(true).around(call, is_missing, create, is_collision).await;
        (outcome.map_err(|error| error.kind()), tries.get())
    }

    #[tokio::test]
    async fn table_is_created_only_if_it_is_missing() {
        assert_eq!(beside_another(0, Err(Kind::Other)).await, (Ok(()), 0));
        assert_eq!(beside_another(1, Ok(())).await, (Ok(()), 1));
        assert_eq!(
            beside_another(9, Ok(())).await,
            (Err(Kind::SchemaMissing), 1),
            "something else is missing"
        );
    }

    #[tokio::test]
    async fn collisions_are_tried_again_while_it_is_not_there() {
        assert_eq!(beside_another(1, Err(Kind::Permission)).await, (Ok(()), 1), "another has made it");
        assert_eq!(beside_another(9, Err(Kind::Permission)).await, (Err(Kind::Permission), 1));
        for (collision, in_the_end) in [(Kind::Conflict, Kind::Conflict), (Kind::Other, Kind::SchemaMissing)]
        {
            assert_eq!(beside_another(2, Err(collision)).await, (Ok(()), 2));
            assert_eq!(beside_another(9, Err(collision)).await, (Err(in_the_end), 3));
        }
    }

    #[tokio::test]
    async fn one_creates_it_for_all_that_find_it_missing_at_the_same_time() {
        let (created, both_look) = (Cell::new(0), Barrier::new(2));
        let creation = Creation::new(true);
        let call = || async {
            let found = if created.get() > 0 { Ok(()) } else { failed(Kind::SchemaMissing) };
            both_look.wait().await;
            found
        };
        let create = || async {
            tokio::task::yield_now().await;
            created.set(created.get() + 1);
            Ok(())
        };
        let around = || creation.around(call, is_missing, create, is_collision);
        let (one, other) = tokio::join!(around(), around());
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(created.get(), 1);
    }

    #[tokio::test]
    async fn nothing_is_created_that_is_not_wanted_or_not_missing() {
        for (wanted, kind) in [(false, Kind::SchemaMissing), (true, Kind::Timeout)] {
            let created = Cell::new(false);
            let create = || {
                created.set(true);
                ready(Ok::<_, StoreError>(()))
            };
            let creation = Creation::new(wanted);
            let outcome = creation.around(|| ready(failed::<()>(kind)), is_missing, create, is_collision);
            assert_eq!(outcome.await.unwrap_err().kind(), kind);
            assert!(!created.get());
        }
    }
}
