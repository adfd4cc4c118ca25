//! What becomes of requests whose rows other transactions have locked.
//!
//! A first statement leaves such rows out: whoever keeps one locked keeps nobody else waiting. A second one, for those
//! alone, waits for as long as a commit takes. If that was not enough the call fails, and the engine makes it again in parts
//! until the request is alone, half of which wait, 0.1 s at most: of 10,000 leases with one locked row, one is lost if the row
//! stays locked. (An acquire of many just answers that it lost the race for such a row, and the engine asks for it alone.)

use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::error::failure;

/// How often rows that change while they are waited for are asked for again.
pub(crate) const PATIENT_TRIES: usize = 3;

/// The requests that were not answered; `None`: all were.
pub(crate) fn unanswered<R: Clone, A>(requests: &[R], answers: &[Option<A>]) -> Option<Vec<R>> {
    let pairs = requests.iter().zip(answers).filter(|(_, answer)| answer.is_none());
    Some(pairs.map(|(request, _)| request.clone()).collect()).filter(|left: &Vec<R>| !left.is_empty())
}

/// Puts the answers to those into their places.
pub(crate) fn fill<A>(
    operation: Operation,
    answers: &mut [Option<A>],
    later: Result<Vec<Option<A>>, StoreError>,
) -> Result<(), StoreError> {
    let later = match later {
        Ok(later) => later,
        Err(error) if answers.len() > 1 && error.kind().took_no_effect() => {
            return Err(failure(operation, error.kind().of_a_part(), error));
        }
        Err(error) => return Err(error),
    };
    let places = answers.iter_mut().filter(|answer| answer.is_none());
    places.zip(later).for_each(|(place, answer)| *place = answer);
    Ok(())
}

/// The answers, if all are there.
pub(crate) fn complete<A>(operation: Operation, answers: Vec<Option<A>>) -> Result<Vec<A>, StoreError> {
    let asked = answers.len();
    answers.into_iter().collect::<Option<Vec<A>>>().ok_or_else(|| {
        let (alone, why) = (StoreErrorKind::Conflict, "the row changed whenever it was looked at");
        failure(operation, if asked == 1 { alone } else { alone.of_a_part() }, why)
    })
}
