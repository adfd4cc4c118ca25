//! Wake-ups, for stores that listen on a connection.

use std::error::Error;
use std::future::ready;

use futures_util::stream::{self, StreamExt};
use tracing::{debug, warn};

use crate::store::{StoreError, Wakeup, Wakeups};

/// A stream that begins by `open` when it is first polled, says [`Wakeup::Listening`], and then what `next` hears. It ends when that
/// has no more to say, and if `open` fails: then a failure that will not pass by itself is an event at warn, any other at debug.
///
/// # Cancel safety
/// Dropping the stream drops the listener, and what `open` or `next` were doing. What they have begun is kept between polls.
pub fn listening<Listener, Heard>(
    open: impl Future<Output = Result<Listener, StoreError>> + Send + 'static,
    next: impl Fn(Listener) -> Heard + Clone + Send + 'static,
) -> Wakeups
where
    Listener: Send + 'static,
    Heard: Future<Output = Option<(Wakeup, Listener)>> + Send + 'static,
{
    let opened = stream::once(open).filter_map(|opened| ready(opened.inspect_err(tell).ok()));
    Box::pin(opened.flat_map(move |listener| {
        stream::once(ready(Wakeup::Listening)).chain(stream::unfold(listener, next.clone()))
    }))
}

fn tell(error: &StoreError) {
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    if error.is_transient() {
        debug!(backend = error.backend(), %error, source, "can't listen for freed names");
    } else {
        warn!(backend = error.backend(), %error, source, "can't listen for freed names");
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::StreamExt;

    use super::listening;
    use crate::LockName;
    use crate::store::{Operation, StoreError, StoreErrorKind, Wakeup};

    #[tokio::test]
    async fn listener_is_announced_and_heard_until_its_end() {
        let name = LockName::new("job").unwrap();
        let freed = Wakeup::Freed(name.clone());
        let next = move |left: u32| {
            let freed = Wakeup::Freed(name.clone());
            ready(left.checked_sub(1).map(|left| (freed, left)))
        };
        let heard: Vec<_> = listening(ready(Ok(2)), next).collect().await;
        assert_eq!(heard, [Wakeup::Listening, freed.clone(), freed]);
    }

    #[tokio::test]
    async fn listener_that_can_not_be_opened_says_nothing() {
        let refused = StoreError::new("test", Operation::Connect, StoreErrorKind::Permission, "no");
        let heard = listening(ready(Err(refused)), |()| ready(Some((Wakeup::Deaf, ()))));
        assert_eq!(heard.count().await, 0);
    }
}
