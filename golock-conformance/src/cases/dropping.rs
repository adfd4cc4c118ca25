//! Futures dropped at each of their polls, and locks dropped wherever a program may drop them. In every case the
//! name becomes free long before its lease is over.

use std::time::Duration;

use golock_core::store::{AcquireRequest, ReleaseRequest, RenewRequest};
use golock_core::{LockName, Locker};
use tokio::time;

use super::locking::{done, held, options};
use crate::client::{Client, LABEL, LONG, label};
use crate::context::{Context, SHARED_SPACE, new_grant};
use crate::crash::{OnPurpose, lock_whose_runtime_ends, on_a_plain_thread, polled};
use crate::patience::within_reason;

pub(crate) async fn dropped_try_lock_leaves_nothing(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    for polls in 0..MOST_POLLS {
        let name = cx.name("dropped");
        let ended = polled(locker.try_lock(options(&name, LONG)), polls).await;
        let is_over = ended.is_some();
        drop(ended.map(held));
        still_works(&locker, &other, &name).await;
        if is_over {
            return;
        }
    }
    panic!("not over after {MOST_POLLS} polls");
}

pub(crate) async fn dropped_wait_leaves_nothing(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    for (polls, served) in (0..6).flat_map(|polls| [(polls, false), (polls, true)]) {
        let name = cx.name("dropped");
        let grant = other.take(&name, LONG).await;
        let mut waiting = Box::pin(locker.lock(options(&name, LONG)));
        let moment = Duration::from_millis(20);
        // It asks to be polled only so often while it waits: the moment ends that.
        let got = time::timeout(moment, polled(&mut waiting, polls)).await;
        assert!(!matches!(got, Ok(Some(Ok(_)))), "{name:?} is held");
        if served {
            // Dropped around the time at which it is granted the lock.
            other.release(&grant).await;
            let got = time::timeout(moment / 4 * polls as u32, polled(&mut waiting, polls)).await;
            drop(got.ok().flatten().map(held));
        }
        drop(waiting);
        if !served {
            other.release(&grant).await;
        }
        still_works(&locker, &other, &name).await;
    }
}

pub(crate) async fn dropped_unlock_still_unlocks(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    for polls in 0..MOST_POLLS {
        let name = cx.name("dropped");
        let lock = held(locker.try_lock(options(&name, LONG)).await);
        let ended = polled(lock.unlock(), polls).await;
        let is_over = ended.is_some();
        ended.map(done);
        still_works(&locker, &other, &name).await;
        if is_over {
            return;
        }
    }
    panic!("not over after {MOST_POLLS} polls");
}

pub(crate) async fn dropped_extend_harms_nothing(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    for polls in 0..MOST_POLLS {
        let name = cx.name("dropped");
        let lock = held(locker.try_lock(options(&name, LONG)).await);
        let is_over = polled(lock.extend(LONG), polls).await.map(done).is_some();
        assert!(lock.is_held());
        assert_eq!(other.refused(&name).await.token, lock.token());
        done(lock.unlock().await);
        still_works(&locker, &other, &name).await;
        if is_over {
            return;
        }
    }
    panic!("not over after {MOST_POLLS} polls");
}

pub(crate) async fn dropped_run_gives_back_its_lock(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    for polls in 0..MOST_POLLS {
        let name = cx.name("dropped");
        let work = async |_lock| tokio::task::yield_now().await;
        let is_over = polled(locker.run(options(&name, LONG), work), polls).await.map(done).is_some();
        still_works(&locker, &other, &name).await;
        if is_over {
            return;
        }
    }
    panic!("not over after {MOST_POLLS} polls");
}

pub(crate) async fn dropped_operators_calls_harm_nothing(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let kept = cx.name("kept");
    let grant = other.take(&kept, LONG).await;
    for polls in 0..4 {
        let name = cx.name("dropped");
        other.take(&name, LONG).await;
        polled(locker.inspect(kept.as_str()), polls).await;
        polled(locker.list(kept.as_str()), polls).await;
        polled(locker.purge(LONG * 1000), polls).await;
        polled(locker.revoke(name.as_str()), polls).await;
        polled(locker.force_unlock(name.as_str()), polls).await;
        polled(locker.clone().shutdown(Duration::ZERO), 0).await;
        // Each may or may not have happened; the locker is whole, and no answer is another's.
        let seen = done(locker.inspect(kept.as_str()).await);
        assert_eq!(seen.map(|info| (info.name, info.token)), Some((kept.clone(), grant.token)));
        // What was asked for may still come to pass at its own name, and only there.
        still_works(&locker, &other, &cx.name("after")).await;
    }
}

pub(crate) async fn dropped_store_calls_leave_the_store_whole(cx: &Context<'_>) {
    let (client, other) = (cx.client().await, cx.client().await);
    let witnesses = cx.names("witness", 2);
    let mut tokens = Vec::new();
    for witness in &witnesses {
        tokens.push(other.take(witness, LONG).await.token);
    }
    let mut unfinished = 0;
    for polls in 0..MOST_POLLS {
        let (name, id) = (cx.name("dropped"), new_grant());
        let acquire = [AcquireRequest::new(name.clone(), id, label(LABEL), LONG)];
        let acquired = polled(client.store.acquire(&acquire), polls).await.is_some();
        // Repaired by asking again: the same grant holds it, whatever became of the first call.
        let grant = client.take_as(&name, id, LONG).await;

        let renew = [RenewRequest::new(name.clone(), id, grant.token, LONG)];
        let renewed = polled(client.store.renew(&renew), polls).await.is_some();
        client.renewed(&grant, LONG).await;

        let release = [ReleaseRequest::new(name.clone(), id, Duration::ZERO)];
        let released = polled(client.store.release(&release), polls).await.is_some();
        client.release(&grant).await;
        assert_eq!(other.inspect(&name).await, None, "an orphan, after {polls} polls");

        // A connection that answers the dropped call's question next would tell here.
        let inspected = polled(client.store.inspect(&witnesses[0]), polls).await.is_some();
        for (witness, token) in witnesses.iter().zip(&tokens) {
            let info = client.info(witness).await;
            assert_eq!(
                (&info.name, info.token),
                (witness, *token),
                "another call's answer, after {polls} polls"
            );
        }
        unfinished += usize::from(!acquired);
        if acquired && renewed && released && inspected {
            assert!(unfinished > 0, "not one call was dropped in the middle");
            return;
        }
    }
    panic!("not over after {MOST_POLLS} polls");
}

pub(crate) async fn dropped_lock_is_given_back(cx: &Context<'_>) {
    let (locker, other) = (cx.locker().await, cx.client().await);
    let name = cx.name("in-a-runtime");
    drop(held(locker.try_lock(options(&name, LONG)).await));
    still_works(&locker, &other, &name).await;

    let name = cx.name("on-a-plain-thread");
    let lock = held(locker.try_lock(options(&name, LONG)).await);
    on_a_plain_thread(move || drop(lock)).await;
    still_works(&locker, &other, &name).await;

    let name = cx.name("by-a-panic");
    let lock = held(locker.try_lock(options(&name, LONG)).await);
    let panicked = tokio::spawn(async move {
        let _lock = lock;
        std::panic::resume_unwind(Box::new(OnPurpose));
    });
    assert!(panicked.await.is_err_and(|error| error.is_panic()));
    still_works(&locker, &other, &name).await;

    let name = cx.name("by-an-abort");
    let lock = held(locker.try_lock(options(&name, LONG)).await);
    let aborted = tokio::spawn(async move {
        let _lock = lock;
        std::future::pending::<()>().await;
    });
    aborted.abort();
    still_works(&locker, &other, &name).await;

    let name = cx.name("after-its-locker");
    let lock = held(locker.try_lock(options(&name, LONG)).await);
    drop(locker);
    drop(lock);
    other.until_free(&name).await;
}

pub(crate) async fn lock_dropped_after_its_runtime_is_freed_by_its_lease(cx: &Context<'_>) {
    let (store, other) = (cx.store_in(SHARED_SPACE).await, cx.client().await);
    let name = cx.name("orphaned");
    let options = options(&name, Duration::from_secs(2)).auto_renew(true);
    let token = on_a_plain_thread(move || {
        let lock = held(lock_whose_runtime_ends(store, options));
        lock.token()
        // Dropped here, outside of any runtime, when its own has ended.
    })
    .await;
    assert!(other.take_when_free(&name, LONG).await.token > token);
}

/// The name becomes free, and can be locked by this locker and the other client.
async fn still_works(locker: &Locker, other: &Client, name: &LockName) {
    other.until_free(name).await;
    let lock = within_reason("a lock that is free", locker.lock(options(name, LONG))).await;
    done(held(lock).unlock().await);
    // What was dropped may be granted only now, and is undone then.
    other.release(&other.take_when_free(name, LONG).await).await;
}

/// No future here takes as many.
const MOST_POLLS: usize = 200;
