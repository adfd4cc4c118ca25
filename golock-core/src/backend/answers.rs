//! Answers to many requests.

use futures_util::future::join_all;

use crate::store::StoreError;

/// The answers in the order of the requests, each given with the place of its request, counted from 0. Of two answers to one request
/// the second counts.
///
/// # Errors
/// What is wrong, in words: a request has no answer, or an answer no request.
pub fn in_order<A>(requests: usize, answers: Vec<(usize, A)>) -> Result<Vec<A>, String> {
    let wrong = format!("{} answers, and not one to each of {requests} requests", answers.len());
    let mut places: Vec<Option<A>> = (0..requests).map(|_| None).collect();
    for (at, answer) in answers {
        match places.get_mut(at) {
            Some(place) => *place = Some(answer),
            None => return Err(wrong),
        }
    }
    places.into_iter().collect::<Option<_>>().ok_or(wrong)
}

/// The answers to requests that are sent each by itself, all at once: [`all_or_error`].
///
/// # Errors
/// As [`all_or_error`].
///
/// # Cancel safety
/// Dropping the future drops each of them, as `one` has it.
pub async fn each_by_itself<R, A, F>(
    requests: impl IntoIterator<Item = R>,
    one: impl FnMut(R) -> F,
) -> Result<Vec<A>, StoreError>
where
    F: Future<Output = Result<A, StoreError>>,
{
    all_or_error(join_all(requests.into_iter().map(one)).await)
}

/// Asks once more for what is open after a first call, and puts the answers into their places.
///
/// # Errors
/// That of `again`, as that of a part if there are several requests: the first call may have done some.
///
/// # Cancel safety
/// Dropping the future drops `again`.
pub async fn ask_again<R: Clone, A>(
    requests: &[R],
    answers: &mut [A],
    is_open: impl Fn(&A) -> bool,
    again: impl AsyncFnOnce(Vec<R>) -> Result<Vec<A>, StoreError>,
) -> Result<(), StoreError> {
    let open: Vec<R> = requests
        .iter()
        .zip(&*answers)
        .filter(|(_, answer)| is_open(answer))
        .map(|(request, _)| request.clone())
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let later = again(open).await.map_err(|error| error.of_a_part_if(requests.len() > 1))?;
    let places = answers.iter_mut().filter(|answer| is_open(answer));
    places.zip(later).for_each(|(place, answer)| *place = answer);
    Ok(())
}

/// The answers to requests of which each was served by itself; or the one error that stands for all, and says that nothing was done
/// only if nothing was.
///
/// # Errors
/// One that leaves an outcome open, if there is one, else the first.
pub fn all_or_error<A>(
    outcomes: impl IntoIterator<Item = Result<A, StoreError>>,
) -> Result<Vec<A>, StoreError> {
    let (done, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    let worst = failed.into_iter().filter_map(Result::err).min_by_key(StoreError::took_no_effect);
    match worst {
        None => Ok(done.into_iter().filter_map(Result::ok).collect()),
        Some(error) if done.is_empty() => Err(error),
        Some(error) => Err(error.of_a_part()),
    }
}

#[cfg(test)]
mod tests {
    use super::{all_or_error, ask_again, in_order};
    use crate::store::{Operation, StoreError, StoreErrorKind as Kind};

    #[test]
    fn each_request_has_its_answer() {
        assert_eq!(in_order(2, vec![(1, 'b'), (0, 'a')]), Ok(vec!['a', 'b']));
        assert_eq!(in_order(2, vec![(1, 'b')]).unwrap_err(), "1 answers, and not one to each of 2 requests");
        assert_eq!(
            in_order(1, vec![(0, 'a'), (1, 'b')]).unwrap_err(),
            "2 answers, and not one to each of 1 requests"
        );
        assert_eq!(in_order(1, vec![(0, 'a'), (0, 'b')]), Ok(vec!['b']));
    }

    #[test]
    fn a_part_that_was_done_is_not_denied() {
        let failed = |kind| Err(StoreError::new("test", Operation::Acquire, kind, "why"));
        let kind_of = |outcomes: Vec<_>| all_or_error(outcomes).map_err(|error| error.kind());
        assert_eq!(kind_of(vec![Ok(1), Ok(2)]), Ok(vec![1, 2]));
        assert_eq!(kind_of(vec![failed(Kind::Unavailable), failed(Kind::Conflict)]), Err(Kind::Unavailable));
        assert_eq!(kind_of(vec![Ok(1), failed(Kind::Unavailable)]), Err(Kind::Timeout));
        assert_eq!(kind_of(vec![Ok(1), failed(Kind::TokenExhausted)]), Err(Kind::Other));
        assert_eq!(kind_of(vec![failed(Kind::Permission), failed(Kind::Connection)]), Err(Kind::Connection));
    }

    #[tokio::test]
    async fn what_is_open_is_asked_for_again() {
        let is_open = |answer: &Option<char>| answer.is_none();
        let mut answers = [Some('a'), None, Some('c'), None];
        let again = async |open: Vec<u8>| {
            assert_eq!(open, [1, 3]);
            Ok(vec![Some('b'), None])
        };
        ask_again(&[0, 1, 2, 3], &mut answers, is_open, again).await.unwrap();
        assert_eq!(answers, [Some('a'), Some('b'), Some('c'), None]);

        let refused = async |_| Err(StoreError::new("test", Operation::Release, Kind::Permission, "no"));
        let error = ask_again(&[0, 1, 2, 3], &mut answers, is_open, refused).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Permission.of_a_part());
        let error = ask_again(&[0], &mut [None], is_open, refused).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Permission, "nothing was done before");
        ask_again(&[0], &mut answers[..1], is_open, refused).await.unwrap();
    }
}
