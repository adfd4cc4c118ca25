//! A purge, page by page.

use crate::store::StoreError;

/// Does one page after another, each a short transaction of its own, and says how much all of them did.
///
/// `page` is told where to start, and says how much it did and where the next page starts, if there is one. What was done before
/// a failure stays done, and the error doesn't deny it.
///
/// # Errors
/// That of the first page that failed.
///
/// # Cancel safety
/// Dropping the future leaves the pages done that were, and the outcome of one open.
pub async fn page_by_page<P, F>(first: P, page: impl Fn(P) -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<(u64, Option<P>), StoreError>>,
{
    let (mut done, mut next) = (0, Some(first));
    while let Some(start) = next {
        let (more, after) = page(start).await.map_err(|error| error.of_a_part_if(done > 0))?;
        done += more;
        next = after;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::page_by_page;
    use crate::store::{Operation, StoreError, StoreErrorKind as Kind};

    #[tokio::test]
    async fn pages_add_up_until_one_is_the_last() {
        let page = |start: u64| async move { Ok((start + 1, (start < 3).then_some(start + 1))) };
        assert_eq!(page_by_page(0, page).await.unwrap(), 1 + 2 + 3 + 4);
    }

    #[tokio::test]
    async fn failure_does_not_deny_the_pages_before_it() {
        let failing_at = |last: u64, did: u64| {
            page_by_page(0, move |start: u64| async move {
                let refused = || StoreError::new("test", Operation::Purge, Kind::Permission, "no");
                if start == last { Err(refused()) } else { Ok((did, Some(start + 1))) }
            })
        };
        let kind = |outcome: Result<u64, StoreError>| outcome.unwrap_err().kind();
        assert_eq!(kind(failing_at(0, 5).await), Kind::Permission);
        assert_eq!(kind(failing_at(2, 0).await), Kind::Permission, "the pages before it found nothing");
        assert_eq!(kind(failing_at(2, 5).await), Kind::Permission.of_a_part());
    }
}
