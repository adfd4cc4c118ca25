//! Sessions that are being opened: each in a task of its own, which goes on when nobody waits for it any more.

use std::collections::VecDeque;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::{JoinError, JoinHandle};

/// Openings of sessions, for a pool that opens them when a call needs one.
///
/// An opening is begun only if none is left behind: in a pool of four there are never more than four, sessions and openings
/// together. Each opening bounds itself in time; dropping this ends those that nobody waits for.
pub(super) struct Openings<T, E> {
    left: Mutex<VecDeque<Task<T, E>>>,
}

type Task<T, E> = JoinHandle<Result<T, E>>;

impl<T: Send + 'static, E: Send + 'static> Openings<T, E> {
    /// A session: one that another began to open and did not wait for, else a new one by `opening`, in a task of its own.
    ///
    /// One that was left behind may have to be waited for still, or may have been open, and unused, for a while: `fits` says
    /// whether it will do. One that has failed is nobody's failure here: whoever asks now may have better luck. `opening` has
    /// to bound itself in time.
    ///
    /// # Errors
    /// Those of `opening`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the opening that it waits for to the next caller.
    ///
    /// # Panics
    /// If `opening` does, and outside of a tokio runtime.
    pub(super) async fn session(
        &self,
        mut fits: impl FnMut(&mut T) -> bool,
        opening: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        while let Some(mut session) = self.left_behind().await {
            if fits(&mut session) {
                return Ok(session);
            }
        }
        self.begin(opening).await
    }

    async fn left_behind(&self) -> Option<T> {
        loop {
            let task = self.left().pop_front()?;
            if let Ok(Ok(session)) = self.outcome(task).await {
                return Some(session);
            }
        }
    }

    async fn begin(&self, opening: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E> {
        match self.outcome(tokio::spawn(opening)).await {
            Ok(outcome) => outcome,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime shuts down, and the caller with it.
                Err(_) => pending().await,
            },
        }
    }

    async fn outcome(&self, task: Task<T, E>) -> Result<Result<T, E>, JoinError> {
        let mut awaited = Awaited { openings: self, task: None };
        let outcome = awaited.task.insert(task).await;
        awaited.task = None;
        outcome
    }
}

impl<T, E> Openings<T, E> {
    /// Closes the sessions that were left behind and are open since.
    pub(super) fn close_left_behind(&self) {
        self.left().retain(|task| !task.is_finished());
    }

    fn left(&self) -> MutexGuard<'_, VecDeque<Task<T, E>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> Default for Openings<T, E> {
    fn default() -> Self {
        Self { left: Mutex::default() }
    }
}

impl<T, E> Drop for Openings<T, E> {
    fn drop(&mut self) {
        for task in self.left().drain(..) {
            task.abort();
        }
    }
}

/// An opening that somebody waits for. If that one is dropped first, it is left behind.
struct Awaited<'a, T, E> {
    openings: &'a Openings<T, E>,
    task: Option<Task<T, E>>,
}

impl<T, E> Drop for Awaited<'_, T, E> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.openings.left().push_back(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::runtime;
    use tokio::time::{sleep, timeout};

    use super::Openings;

    const LOGIN: Duration = Duration::from_secs(3);
    const PATIENCE: Duration = Duration::from_secs(1);

    /// A session, or what keeps count of it while it is opened.
    type Counted = Arc<()>;

    /// As a backend asks for one.
    async fn session(
        openings: &Openings<Counted, &'static str>,
        counted: &Counted,
        outcome: Result<(), &'static str>,
    ) -> Result<Counted, &'static str> {
        let counted = Arc::clone(counted);
        let opening = async move {
            sleep(LOGIN).await;
            outcome.map(|()| counted)
        };
        openings.session(|_| true, opening).await
    }

    #[tokio::test(start_paused = true)]
    async fn opening_slower_than_any_callers_patience_serves_one_of_them() {
        let (openings, counted) = (Openings::default(), Counted::default());
        for _ in 0..2 {
            let given_up = timeout(PATIENCE, session(&openings, &counted, Ok(()))).await;
            assert!(given_up.is_err(), "opened too soon");
            assert_eq!(Arc::strong_count(&counted), 2, "each began anew");
        }
        let served = timeout(PATIENCE * 2, session(&openings, &counted, Err("its own"))).await;
        assert!(matches!(served, Ok(Ok(_))), "{served:?}");
        // It was the only one, and nobody has it twice.
        assert!(openings.left_behind().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn session_opened_for_nobody_is_there_for_the_next() {
        let (openings, counted) = (Openings::default(), Counted::default());
        assert!(timeout(PATIENCE, session(&openings, &counted, Ok(()))).await.is_err());
        sleep(LOGIN * 10).await;
        assert!(session(&openings, &counted, Err("its own")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn failure_is_told_to_who_began_it_and_to_nobody_else() {
        let (openings, counted) = (Openings::default(), Counted::default());
        assert_eq!(session(&openings, &counted, Err("refused")).await, Err("refused"));
        assert!(timeout(PATIENCE, session(&openings, &counted, Err("refused"))).await.is_err());
        assert!(session(&openings, &counted, Ok(())).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_at_once_have_an_opening_each() {
        let (openings, counted) = (Openings::default(), Counted::default());
        let (one, other) =
            tokio::join!(session(&openings, &counted, Ok(())), session(&openings, &counted, Err("other")));
        assert!(one.is_ok());
        assert_eq!(other, Err("other"));
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_openings_end() {
        let (openings, counted) = (Openings::default(), Counted::default());
        assert!(timeout(PATIENCE, session(&openings, &counted, Ok(()))).await.is_err());
        drop(openings);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&counted), 1, "still being opened");
    }

    #[test]
    fn opening_whose_runtime_has_ended_is_none() {
        let in_a_runtime = || runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (openings, counted) = (Openings::default(), Counted::default());
        let given_up = in_a_runtime()
            .block_on(async { timeout(LOGIN / 100, session(&openings, &counted, Ok(()))).await });
        assert!(given_up.is_err());
        in_a_runtime().block_on(async {
            assert!(openings.left_behind().await.is_none());
            assert_eq!(openings.begin(async { Ok(Counted::default()) }).await.map(drop), Ok(()));
        });
    }

    #[tokio::test]
    #[should_panic(expected = "no provider")]
    async fn panic_of_an_opening_is_its_callers() {
        let openings = Openings::<(), ()>::default();
        let _ = openings.begin(async { panic!("no provider") }).await;
    }
}
