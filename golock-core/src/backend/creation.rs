//! Creating a table, by as many processes at once as may start.

use tokio::sync::OnceCell;

use crate::store::StoreError;

/// Two that create the same table collide once; a schema besides, twice.
const TRIES: usize = 3;

/// What a store creates before its first use, unless it is there: its table.
#[derive(Debug)]
pub struct Creation {
    done: OnceCell<()>,
}

impl Creation {
    /// `wanted`: if not, an administrator has done it, and nothing is looked for.
    pub fn new(wanted: bool) -> Self {
        Self { done: OnceCell::new_with((!wanted).then_some(())) }
    }

    /// Creates it, unless that is done or it is there: whoever may not create tables can use one that is.
    ///
    /// `IF NOT EXISTS` looks before it leaps on most servers, so of two at once one fails, in one of several ways: `is_collision`
    /// knows those in which it is not there yet, and another try may do. All that counts is whether it is there in the end.
    ///
    /// # Errors
    /// Those of `is_there` and `create`. The next call tries again.
    ///
    /// # Cancel safety
    /// Dropping the future drops what it called; the next call looks again.
    pub async fn ready<Looking, Creating>(
        &self,
        is_there: impl Fn() -> Looking,
        create: impl Fn() -> Creating,
        is_collision: impl Fn(&StoreError) -> bool,
    ) -> Result<(), StoreError>
    where
        Looking: Future<Output = Result<bool, StoreError>>,
        Creating: Future<Output = Result<(), StoreError>>,
    {
        let once = || async {
            let mut tries = 1..TRIES;
            loop {
                if is_there().await? {
                    return Ok(());
                }
                match create().await {
                    Ok(()) => return Ok(()),
                    Err(error) if is_there().await? => {
                        tracing::debug!(%error, "another created the table first");
                        return Ok(());
                    }
                    Err(error) if tries.next().is_none() || !is_collision(&error) => return Err(error),
                    Err(_) => {}
                }
            }
        };
        self.done.get_or_try_init(once).await.copied()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use super::Creation;
    use crate::store::{Operation, StoreError, StoreErrorKind as Kind};

    fn failed(kind: Kind) -> Result<(), StoreError> {
        Err(StoreError::new("test", Operation::CreateSchema, kind, "said"))
    }

    fn is_collision(error: &StoreError) -> bool {
        error.kind() == Kind::Conflict
    }

    /// What came of it, and how often it was tried, if another's is there after so many tries.
    async fn beside_another(there_after: usize, kind: Kind) -> (bool, usize) {
        let tries = Cell::new(0);
        let create = || {
            tries.set(tries.get() + 1);
            ready(failed(kind))
        };
        let outcome =
            Creation::new(true).ready(|| ready(Ok(tries.get() >= there_after)), create, is_collision).await;
        (outcome.is_ok(), tries.get())
    }

    #[tokio::test]
    async fn collisions_are_tried_again_while_it_is_not_there() {
        assert_eq!(beside_another(0, Kind::Conflict).await, (true, 0));
        assert_eq!(beside_another(1, Kind::Permission).await, (true, 1));
        assert_eq!(beside_another(2, Kind::Conflict).await, (true, 2));
        assert_eq!(beside_another(9, Kind::Conflict).await, (false, 3));
        assert_eq!(beside_another(9, Kind::Permission).await, (false, 1));
    }

    #[tokio::test]
    async fn it_is_done_once_and_not_at_all_if_others_have_to() {
        let asked = Cell::new(0);
        let is_there = || {
            asked.set(asked.get() + 1);
            ready(Ok(true))
        };
        let creation = Creation::new(true);
        for _ in 0..2 {
            creation.ready(is_there, || ready(failed(Kind::Other)), is_collision).await.unwrap();
        }
        assert_eq!(asked.get(), 1);
        Creation::new(false).ready(is_there, || ready(failed(Kind::Other)), is_collision).await.unwrap();
        assert_eq!(asked.get(), 1);
    }
}
