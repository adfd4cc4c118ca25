//! What becomes of requests whose rows other transactions have locked.
//!
//! A first statement leaves such rows out: whoever keeps one locked keeps nobody else waiting. A second one, for those
//! alone, waits for as long as a commit takes. If that was not enough the call fails, and the engine makes it again in parts
//! until the request is alone, half of which wait, 0.1 s at most: of 10,000 leases with one locked row, one is lost if the row
//! stays locked. (An acquire of many just answers that it lost the race for such a row, and the engine asks for it alone.)

use golock_core::backend::ask_again;
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::error::failure;
use crate::statements::Sizes;

/// How often rows that change while they are waited for are asked for again.
const PATIENT_TRIES: usize = 3;

/// The answers to all requests: by the first statement, and by the second to those that it has left out (`None`).
pub(crate) async fn answered<R: Clone, A>(
    operation: Operation,
    requests: &[R],
    [soon, patiently]: [&Sizes; 2],
    ask: impl AsyncFnOnce(&str, &[R]) -> Result<Vec<Option<A>>, StoreError> + Clone,
) -> Result<Vec<A>, StoreError> {
    let mut answers = ask.clone()(soon.of(requests.len()), requests).await?;
    for _ in 0..PATIENT_TRIES {
        let patiently = async |left: Vec<R>| ask.clone()(patiently.of(requests.len()), &left).await;
        ask_again(requests, &mut answers, Option::is_none, patiently).await?;
    }
    answers.into_iter().collect::<Option<_>>().ok_or_else(|| {
        let why = "the row changed whenever it was looked at";
        failure(operation, StoreErrorKind::Conflict, why).of_a_part_if(requests.len() > 1)
    })
}
