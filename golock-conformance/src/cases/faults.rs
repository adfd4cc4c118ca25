//! Between client and server: what the network holds, loses and cuts, and what golock pays it.

use std::sync::Arc;
use std::time::Duration;

use golock_core::{LockStore, Locker};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::locking::{done, held, options};
use crate::client::{Client, LONG};
use crate::context::{Context, SHARED_SPACE, opened};
use crate::patience::{Patience, unpanicked, within_reason};
use crate::proxy::{Direction, Proxy};

pub(crate) async fn lock_and_unlock_are_two_round_trips(cx: &Context<'_>) {
    let (proxy, locker, _) = through_proxy(cx).await;
    warm_up(cx, &locker).await;
    let (connections, round_trips) = (proxy.connections(), proxy.round_trips());
    let pairs = 25;
    for _ in 0..pairs {
        let lock = held(locker.try_lock(options(&cx.name("counted"), LONG)).await);
        done(lock.unlock().await);
    }
    let name = cx.name("counted");
    for _ in 0..pairs {
        let lock = held(locker.try_lock(options(&name, LONG)).await);
        done(lock.unlock().await);
    }
    assert_eq!(proxy.connections() - connections, 0, "new connections");
    assert_eq!(proxy.round_trips() - round_trips, 4 * pairs, "round trips of {} pairs", 2 * pairs);
}

pub(crate) async fn refusal_and_renewal_are_one_round_trip(cx: &Context<'_>) {
    let (proxy, locker, other) = through_proxy(cx).await;
    warm_up(cx, &locker).await;
    let (name, mine) = (cx.name("held"), cx.name("mine"));
    other.take(&name, LONG).await;
    let lock = held(locker.try_lock(options(&mine, LONG)).await);
    let before = (proxy.connections(), proxy.round_trips());
    for _ in 0..10 {
        let refused = locker.try_lock(options(&name, LONG)).await;
        assert!(matches!(&refused, Err(error) if error.is_held()), "{refused:?}");
    }
    assert_eq!((proxy.connections(), proxy.round_trips()), (before.0, before.1 + 10), "ten refusals");
    for _ in 0..10 {
        done(lock.extend(LONG).await);
    }
    assert_eq!((proxy.connections(), proxy.round_trips()), (before.0, before.1 + 20), "and ten renewals");
}

pub(crate) async fn waiting_costs_little_whatever_the_number_of_waiters(cx: &Context<'_>) {
    // Where nobody else's locks are told of: a listener may answer to that, too.
    let (proxy, locker, other) = through_proxy_in(cx, &cx.own_space()).await;
    warm_up(cx, &locker).await;
    let name = cx.name("awaited");
    let grant = other.take(&name, LONG).await;
    let before = proxy.round_trips();
    let mut waiters = JoinSet::new();
    for _ in 0..100 {
        let (locker, options) = (locker.clone(), options(&name, LONG));
        waiters.spawn(async move { done(held(locker.lock(options).await).unlock().await) });
    }
    time::sleep(Duration::from_secs(3)).await;
    let waited = proxy.round_trips() - before;
    // One of them asks for all. Opening a listener is a few more.
    assert!(waited <= 40, "{waited} round trips in 3 s for 100 waiters");
    other.release(&grant).await;
    while let Some(ended) = waiters.join_next().await {
        unpanicked(ended);
    }
}

pub(crate) async fn lost_answer_of_an_acquire_leaves_no_stuck_lock(cx: &Context<'_>) {
    let (proxy, locker, other) = through_proxy(cx).await;
    for patient in [false, true] {
        warm_up(cx, &locker).await;
        let name = cx.name("unanswered");
        proxy.lose_next_answer();
        let options = options(&name, LONG);
        if patient {
            // It asks again, by the same grant, and is recognised.
            let lock = held(within_reason("the lock", locker.lock(options)).await);
            assert_eq!(other.refused(&name).await.token, lock.token());
            done(lock.unlock().await);
        } else {
            match within_reason("an answer", locker.try_lock(options)).await {
                Ok(lock) => {
                    assert_eq!(other.refused(&name).await.token, lock.token());
                    done(lock.unlock().await);
                }
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
        }
        assert!(!proxy.is_losing_an_answer(), "no answer was lost");
        other.until_free(&name).await;
    }
}

pub(crate) async fn lost_answer_of_a_release_is_repaired(cx: &Context<'_>) {
    let (proxy, locker, other) = through_proxy(cx).await;
    warm_up(cx, &locker).await;
    let name = cx.name("unanswered");
    let lock = held(locker.try_lock(options(&name, LONG)).await);
    proxy.lose_next_answer();
    done(within_reason("the unlock", lock.unlock()).await);
    assert!(!proxy.is_losing_an_answer(), "no answer was lost");
    other.take(&name, LONG).await;
}

pub(crate) async fn lost_answers_of_renewals_lose_no_lock(cx: &Context<'_>) {
    let (proxy, locker, other) = through_proxy(cx).await;
    warm_up(cx, &locker).await;
    let name = cx.name("renewed");
    // The third try has a third of it for a new session: where the other cases have all processors, a login alone may take 2 s.
    let lease = Duration::from_secs(24);
    let lock = held(locker.try_lock(options(&name, lease).auto_renew(true)).await);
    let begun = Instant::now();
    for _ in 0..2 {
        proxy.lose_next_answer();
        let mut patience = Patience::for_("a renewal");
        while proxy.is_losing_an_answer() {
            patience.pause().await;
        }
    }
    while begun.elapsed() < lease + lease / 4 {
        assert!(lock.is_held(), "lost after {:?}", begun.elapsed());
        assert_eq!(other.refused(&name).await.token, lock.token());
        time::sleep(lease / 20).await;
    }
    done(lock.unlock().await);
}

pub(crate) async fn reset_connections_are_replaced(cx: &Context<'_>) {
    let (proxy, locker, other) = through_proxy(cx).await;
    warm_up(cx, &locker).await;
    let kept = cx.name("kept");
    let lock = held(locker.try_lock(options(&kept, Duration::from_secs(10)).auto_renew(true)).await);
    for _ in 0..3 {
        proxy.reset_all();
        let name = cx.name("after");
        // One that waits gets over it; nothing has to be rebuilt.
        let lock = within_reason("a lock", locker.lock(options(&name, LONG))).await;
        done(within_reason("the unlock", held(lock).unlock()).await);
        other.until_free(&name).await;
    }
    assert!(lock.is_held());
    done(lock.extend(LONG).await);
    assert_eq!(other.refused(&kept).await.token, lock.token());
    done(lock.unlock().await);
}

pub(crate) async fn silent_server_is_given_up_in_time(cx: &Context<'_>) {
    let (proxy, locker, other) = through_proxy(cx).await;
    warm_up(cx, &locker).await;
    let name = cx.name("unanswered");
    proxy.hold(Direction::ToServer);
    proxy.hold(Direction::ToClient);
    let failed = within_reason("an answer or none", locker.try_lock(options(&name, LONG))).await;
    assert!(matches!(&failed, Err(error) if error.is_transient() && !error.is_held()), "{failed:?}");
    proxy.let_go(Direction::ToServer);
    proxy.let_go(Direction::ToClient);
    let lock = within_reason("a lock, when the server is back", locker.lock(options(&name, LONG))).await;
    done(held(lock).unlock().await);
    // The acquire that was given up may have come back to life after that, and is undone once more.
    other.take_when_free(&name, LONG).await;
}

pub(crate) async fn slow_server_slows_but_harms_nothing(cx: &Context<'_>) {
    let (proxy, locker, other) = through_proxy(cx).await;
    warm_up(cx, &locker).await;
    let name = cx.name("slow");
    let delay = Duration::from_millis(400);
    proxy.delay(Direction::ToClient, delay);
    let lease = Duration::from_secs(10);
    let lock = held(locker.try_lock(options(&name, lease)).await);
    // Counted from before the request was sent, not from when its answer came.
    let margin = lease / 100;
    assert!(lock.remaining() <= lease - delay - margin, "{:?} remain of {lease:?}", lock.remaining());
    assert_eq!(other.refused(&name).await.token, lock.token());
    done(lock.unlock().await);
    // An acquire that comes back after its lease is no success.
    let lease = delay / 2;
    let late = locker.try_lock(options(&name, lease)).await;
    assert!(late.is_err(), "handed out a lock that is over: {late:?}");
    other.until_free(&name).await;
}

/// A proxy, a locker whose connections go through it, and a client whose connections don't.
pub(super) async fn through_proxy(cx: &Context<'_>) -> (Proxy, Locker, Client) {
    through_proxy_in(cx, SHARED_SPACE).await
}

async fn through_proxy_in(cx: &Context<'_>, space: &str) -> (Proxy, Locker, Client) {
    let (proxy, store) = store_through_proxy_in(cx, space).await;
    (proxy, Locker::new(store), cx.client_in(space).await)
}

/// A proxy, a store whose connections go through it, and a client whose connections don't.
pub(super) async fn store_through_proxy(cx: &Context<'_>) -> (Proxy, Arc<dyn LockStore>, Client) {
    let (proxy, store) = store_through_proxy_in(cx, SHARED_SPACE).await;
    (proxy, store, cx.client().await)
}

async fn store_through_proxy_in(cx: &Context<'_>, space: &str) -> (Proxy, Arc<dyn LockStore>) {
    let proxy = done(Proxy::start(cx.through().address()).await);
    let store = opened(|| cx.through().store_through(space, proxy.address())).await;
    (proxy, store)
}

/// Opens the connections and prepares the statements that a first lock needs.
pub(super) async fn warm_up(cx: &Context<'_>, locker: &Locker) {
    for _ in 0..3 {
        let lock = held(within_reason("a first lock", locker.lock(options(&cx.name("first"), LONG))).await);
        done(lock.extend(LONG).await);
        done(lock.unlock().await);
    }
}
