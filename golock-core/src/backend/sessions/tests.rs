//! Whether sessions are used again, closed, and opened as they should be.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::{Opener, Sessions};
use crate::store::{Operation, StoreError, StoreErrorKind as Kind};

/// Counts the sessions that it has opened.
#[derive(Default)]
struct Counting {
    opened: AtomicUsize,
    takes: Duration,
    /// How many openings the server takes back, and how many it has been asked for.
    taken_back: usize,
    asked: AtomicUsize,
    /// How many more the server has room for, if it has not for any number.
    room: Option<Arc<Semaphore>>,
}

struct Session {
    /// How many were opened before it.
    number: usize,
    closed: Arc<AtomicBool>,
    _place: Option<OwnedSemaphorePermit>,
}

/// What calls fail with.
#[derive(Clone, Copy, PartialEq)]
enum Failure {
    Harmless,
    Deadlock,
    Broken,
    NoRoom,
}

impl Opener for Counting {
    type Session = Session;
    type Error = Failure;
    const BACKEND: &'static str = "counting";

    async fn open(&self) -> Result<Session, StoreError> {
        sleep(self.takes).await;
        if self.asked.fetch_add(1, Ordering::Relaxed) < self.taken_back {
            return Err(Self::failed(Operation::Connect, Failure::Deadlock));
        }
        let place = self.room.as_ref().map(|room| room.clone().try_acquire_owned()).transpose();
        let _place = place.map_err(|_| Self::failed(Operation::Connect, Failure::NoRoom))?;
        Ok(Session { number: self.opened.fetch_add(1, Ordering::Relaxed), closed: Arc::default(), _place })
    }

    fn is_open(session: &Session) -> bool {
        !session.closed.load(Ordering::Relaxed)
    }

    fn failed(operation: Operation, error: Failure) -> StoreError {
        let kind = match error {
            Failure::Broken => Kind::Connection,
            Failure::NoRoom => Kind::Unavailable,
            Failure::Harmless | Failure::Deadlock => Kind::Conflict,
        };
        StoreError::new(Self::BACKEND, operation, kind, "failed")
    }

    fn leaves_usable(error: &Failure) -> bool {
        *error != Failure::Broken
    }

    fn is_worth_another_try(error: &Failure) -> bool {
        *error == Failure::Deadlock
    }
}

const WITHIN: Duration = Duration::from_secs(5);

/// A pool of one: of none there can't be any.
fn one() -> Sessions<Counting> {
    Sessions::new(Counting::default(), 0, WITHIN)
}

async fn number(sessions: &Sessions<Counting>) -> usize {
    sessions.call(Operation::Renew, async |session| Ok(session.number)).await.unwrap()
}

async fn fail(sessions: &Sessions<Counting>, with: Failure) -> Kind {
    sessions.call::<()>(Operation::Renew, async |_| Err(with)).await.unwrap_err().kind()
}

#[tokio::test]
async fn session_is_used_again_unless_a_call_has_broken_it() {
    let sessions = one();
    assert_eq!(number(&sessions).await, 0);
    assert_eq!(fail(&sessions, Failure::Harmless).await, Kind::Conflict);
    assert_eq!(number(&sessions).await, 0);
    assert_eq!(fail(&sessions, Failure::Broken).await, Kind::Connection);
    assert_eq!(number(&sessions).await, 1);
    sessions.close_idle();
    assert_eq!(number(&sessions).await, 2);
}

#[tokio::test]
async fn where_there_is_no_room_idle_sessions_make_it_for_those_that_are_preferred() {
    let room = Some(Arc::new(Semaphore::new(2)));
    let sessions = || Sessions::new(Counting { room: room.clone(), ..Counting::default() }, 2, WITHIN);
    let others = sessions();
    let preferred = sessions().preferred_to(&others);
    let (used, idle) = (others.session().await.unwrap(), others.session().await.unwrap());
    assert!(
        preferred.session().await.is_err_and(|error| error.kind() == Kind::Unavailable),
        "all are in use"
    );
    drop(idle);
    let kept = preferred.session().await.unwrap();
    assert!(others.session().await.is_err_and(|error| error.kind() == Kind::Unavailable), "they make none");
    drop(kept);
    let _again = others.session().await.unwrap();
    assert!(preferred.session().await.is_err());
    drop(used);
    assert_eq!(number(&preferred).await, 1);
}

/// One that nobody waited for is idle as well.
#[tokio::test(start_paused = true)]
async fn what_was_left_behind_is_closed_with_the_idle() {
    let sessions = Sessions::new(Counting { takes: WITHIN / 2, ..Counting::default() }, 1, WITHIN);
    assert!(timeout(WITHIN / 4, sessions.session()).await.is_err());
    sleep(WITHIN).await;
    sessions.close_idle();
    assert_eq!(number(&sessions).await, 1);
}

#[tokio::test]
async fn session_that_has_ended_is_not_used_again() {
    let sessions = one();
    let closed = sessions.call(Operation::Renew, async |session| Ok(session.closed.clone())).await;
    closed.unwrap().store(true, Ordering::Relaxed);
    assert_eq!(number(&sessions).await, 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_open_than_there_may_be() {
    let sessions = one();
    let session = sessions.session().await.unwrap();
    assert!(timeout(WITHIN * 2, sessions.session()).await.is_err(), "there are two");
    drop(session);
    assert_eq!(number(&sessions).await, 0);
}

#[tokio::test]
async fn session_whose_call_was_dropped_is_closed() {
    let sessions = one();
    let begun = Notify::new();
    let call = sessions.call::<()>(Operation::Renew, async |_| {
        begun.notify_one();
        std::future::pending().await
    });
    tokio::select! {
        _ = call => unreachable!("it never ends"),
        () = begun.notified() => {}
    }
    assert_eq!(number(&sessions).await, 1);
}

#[tokio::test]
async fn broken_session_takes_no_more_calls() {
    let sessions = one();
    let mut session = sessions.session().await.unwrap();
    assert!(!session.was_idle());
    let broken = session.call::<()>(Operation::Renew, async |_| Err(Failure::Broken)).await;
    assert!(broken.is_err());
    let next = session.call(Operation::Renew, async |session| Ok(session.number)).await;
    assert_eq!(next.unwrap_err().kind(), Kind::Connection);
}

#[tokio::test]
async fn call_that_was_taken_back_is_made_once_more() {
    let sessions = one();
    let calls = Arc::new(AtomicUsize::new(0));
    let deadlocked = sessions
        .call(Operation::Renew, async |_| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Failure::Deadlock),
            _ => Ok(()),
        })
        .await;
    assert!(deadlocked.is_ok());
    assert_eq!(calls.swap(0, Ordering::Relaxed), 2);
    let deadlocked = sessions.call::<()>(Operation::Renew, async |_| {
        calls.fetch_add(1, Ordering::Relaxed);
        Err(Failure::Deadlock)
    });
    assert_eq!(deadlocked.await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert!(sessions.session().await.unwrap().was_idle());
}

#[tokio::test]
async fn opening_that_was_taken_back_is_tried_once_more() {
    let taking_back = |taken_back| Sessions::new(Counting { taken_back, ..Counting::default() }, 1, WITHIN);
    assert_eq!(number(&taking_back(1)).await, 0);
    let sessions = taking_back(2);
    let error = sessions.session().await.err().unwrap();
    assert_eq!((error.operation(), error.kind()), (Operation::Connect, Kind::Conflict));
    assert_eq!(number(&sessions).await, 0, "it was tried more than once more");
}

#[tokio::test(start_paused = true)]
async fn opening_is_bounded_and_outlives_its_caller() {
    let slow = |takes| Sessions::new(Counting { takes, ..Counting::default() }, 1, WITHIN);
    let too_slow = slow(WITHIN * 2).session().await.err().unwrap();
    assert_eq!((too_slow.operation(), too_slow.kind()), (Operation::Connect, Kind::Timeout));

    let sessions = slow(WITHIN / 2);
    assert!(timeout(WITHIN / 4, sessions.session()).await.is_err());
    let session = timeout(WITHIN / 3, sessions.session()).await.expect("it was begun anew").unwrap();
    assert!(session.was_idle());
}

/// The server is gone without a word: who meets that first tells the others, which would cost their callers as much.
#[tokio::test(start_paused = true)]
async fn call_without_an_answer_closes_those_that_lie_idle_since() {
    let sessions = Sessions::new(Counting::default(), 4, WITHIN);
    let opened = tokio::join!(sessions.session(), sessions.session(), sessions.session(), sessions.session());
    drop(opened);
    let reach = |from: usize| {
        sessions.call(Operation::Renew, async move |session| match session.number {
            number if number < from => std::future::pending().await,
            number => Ok(number),
        })
    };
    assert!(timeout(WITHIN, reach(4)).await.is_err());
    assert_eq!(timeout(WITHIN, reach(4)).await.expect("it has the next that is gone").unwrap(), 4);
}

/// It waits for a row, and nothing is wrong with the server.
#[tokio::test(start_paused = true)]
async fn call_without_an_answer_leaves_those_that_are_answered_open() {
    let sessions = Sessions::new(Counting::default(), 2, WITHIN);
    let (hanging, other) = tokio::join!(sessions.session(), sessions.session());
    let (mut hanging, mut other) = (hanging.unwrap(), other.unwrap());
    let answered = {
        let mut hangs = pin!(hanging.call::<()>(Operation::Renew, async |_| std::future::pending().await));
        assert!(timeout(WITHIN, hangs.as_mut()).await.is_err());
        other.call(Operation::Renew, async |session| Ok(session.number)).await.unwrap()
    };
    drop(other);
    drop(hanging);
    assert_eq!(number(&sessions).await, answered);
}

/// One that nobody waited for lies idle as well.
#[tokio::test(start_paused = true)]
async fn call_without_an_answer_closes_what_was_left_behind() {
    let sessions = Sessions::new(Counting { takes: WITHIN / 2, ..Counting::default() }, 2, WITHIN);
    let hasty = || timeout(WITHIN / 4, sessions.session());
    let (one, other) = tokio::join!(hasty(), hasty());
    assert!(one.is_err() && other.is_err());
    sleep(WITHIN).await;
    let hangs = sessions.call::<()>(Operation::Renew, async |_| std::future::pending().await);
    assert!(timeout(WITHIN, hangs).await.is_err());
    assert_eq!(number(&sessions).await, 2, "one was there before, and led to nobody");
}
