//! Each of golock's futures, dropped at each stage of what it asked for, which the proxy holds open: not sent, sent, executed but
//! unanswered, answered but not taken. What it took is free long before its lease, and the locker is whole.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use golock_core::{ErrorKind, LockName, Locker};
use tokio::sync::Notify;
use tokio::time;

use super::faults::{through_proxy, warm_up};
use super::locking::{done, held, options};
use crate::client::{Client, LONG};
use crate::context::Context;
use crate::crash::polled;
use crate::patience::{Patience, joined, within_reason};
use crate::proxy::{Direction, Proxy};

pub(crate) async fn try_lock_dropped_at_any_stage_leaves_nothing(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let name = cx.name("dropped");
        scene.dropped_at(stage, scene.locker.try_lock(options(&name, LONG))).await;
        scene.is_whole(cx, &name).await;
    }
}

pub(crate) async fn lock_dropped_at_any_stage_leaves_nothing(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let name = cx.name("dropped");
        scene.dropped_at(stage, scene.locker.lock(options(&name, LONG))).await;
        scene.is_whole(cx, &name).await;
    }
}

pub(crate) async fn waiting_lock_dropped_at_any_stage_leaves_nothing(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let name = cx.name("dropped");
        let grant = scene.other.take(&name, LONG).await;
        let mut waiting = Box::pin(scene.locker.lock(options(&name, LONG)));
        // Refused, and asleep.
        still_waits(&name, waiting.as_mut()).await;
        scene.proxy.hold(Direction::ToServer);
        // A request that had passed just before could be granted, and nothing held.
        if scene.other.store.capabilities().wakeups {
            still_waits(&name, waiting.as_mut()).await;
        } else {
            // It asks now and then.
            scene.until_held(Direction::ToServer, waiting.as_mut()).await;
        }
        scene.other.release(&grant).await;
        scene.goes_on_to(stage, waiting).await;
        scene.is_whole(cx, &name).await;
    }
}

/// For a moment, in which it gets on as far as it can.
async fn still_waits<T: Debug>(name: &LockName, waiting: Pin<&mut impl Future<Output = T>>) {
    let moment = time::timeout(Duration::from_millis(300), waiting).await;
    assert!(moment.is_err(), "{name:?} is held: {moment:?}");
}

pub(crate) async fn unlock_dropped_at_any_stage_still_unlocks(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let name = cx.name("dropped");
        let lock = held(scene.locker.try_lock(options(&name, LONG)).await);
        scene.dropped_at(stage, lock.unlock()).await;
        scene.is_whole(cx, &name).await;
    }
}

pub(crate) async fn extend_dropped_at_any_stage_harms_nothing(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let name = cx.name("dropped");
        let lock = held(scene.locker.try_lock(options(&name, LONG)).await);
        scene.dropped_at(stage, lock.extend(LONG)).await;
        assert!(lock.is_held());
        assert_eq!(scene.other.refused(&name).await.token, lock.token());
        done(within_reason("the unlock", lock.unlock()).await);
        scene.is_whole(cx, &name).await;
    }
}

pub(crate) async fn run_dropped_while_it_locks_leaves_nothing(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let name = cx.name("dropped");
        let run = scene.locker.run(options(&name, LONG), |_| std::future::pending::<()>());
        scene.dropped_at(stage, run).await;
        scene.is_whole(cx, &name).await;
    }
}

pub(crate) async fn run_dropped_while_it_unlocks_still_unlocks(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let (name, worked) = (cx.name("dropped"), Notify::new());
        let mut run = Box::pin(scene.locker.run(options(&name, LONG), async |_| {
            scene.proxy.hold(Direction::ToServer);
            worked.notify_one();
        }));
        within_reason("the work", async {
            tokio::select! {
                biased;
                ran = run.as_mut() => panic!("unlocked, although its bytes are held: {ran:?}"),
                () = worked.notified() => {}
            }
        })
        .await;
        scene.goes_on_to(stage, run).await;
        scene.is_whole(cx, &name).await;
    }
}

pub(crate) async fn inspect_dropped_at_any_stage_harms_nothing(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    let kept = cx.name("kept");
    let grant = scene.other.take(&kept, LONG).await;
    for stage in STAGES {
        scene.dropped_at(stage, scene.locker.inspect(kept.as_str())).await;
        // No later call gets its answer.
        assert_eq!(done(scene.locker.inspect(cx.name("free").as_str()).await), None);
        let seen = done(scene.locker.inspect(kept.as_str()).await).map(|info| info.token);
        assert_eq!(seen, Some(grant.token));
        scene.is_whole(cx, &cx.name("after")).await;
    }
}

pub(crate) async fn list_dropped_at_any_stage_harms_nothing(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    let kept = cx.name("kept");
    scene.other.take(&kept, LONG).await;
    for stage in STAGES {
        scene.dropped_at(stage, scene.locker.list(kept.as_str())).await;
        assert_eq!(done(scene.locker.list(cx.name("free").as_str()).await), []);
        let listed = done(scene.locker.list(kept.as_str()).await);
        assert_eq!(listed.iter().map(|info| &info.name).collect::<Vec<_>>(), [&kept]);
        scene.is_whole(cx, &cx.name("after")).await;
    }
}

pub(crate) async fn revoke_dropped_at_any_stage_still_revokes(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let name = cx.name("dropped");
        let grant = scene.other.take(&name, LONG).await;
        scene.dropped_at(stage, scene.locker.revoke(name.as_str())).await;
        let mut patience = Patience::for_("the lock to be revoked");
        while !scene.other.info(&name).await.released {
            patience.pause().await;
        }
        assert!(scene.other.info(&name).await.token > grant.token);
        scene.other.force_unlock(&name).await;
        scene.is_whole(cx, &name).await;
    }
}

pub(crate) async fn force_unlock_dropped_at_any_stage_still_unlocks(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        let name = cx.name("dropped");
        scene.other.take(&name, LONG).await;
        scene.dropped_at(stage, scene.locker.force_unlock(name.as_str())).await;
        scene.is_whole(cx, &name).await;
    }
}

pub(crate) async fn purge_dropped_at_any_stage_harms_nothing(cx: &Context<'_>) {
    let scene = Scene::open(cx).await;
    for stage in STAGES {
        scene.dropped_at(stage, scene.locker.purge(LONG * 1000)).await;
        scene.is_whole(cx, &cx.name("after")).await;
    }
}

pub(crate) async fn shutdown_dropped_at_any_stage_still_closes(cx: &Context<'_>) {
    for stage in STAGES {
        let scene = Scene::open(cx).await;
        let name = cx.name("dropped");
        let lock = held(scene.locker.try_lock(options(&name, LONG)).await);
        // What it waits for is the release of the last lock.
        let closing = async {
            drop(lock);
            scene.locker.shutdown(LONG).await
        };
        scene.dropped_at(stage, closing).await;
        scene.other.until_free(&name).await;
        let refused = scene.locker.try_lock(options(&name, LONG)).await.map_err(|error| error.kind());
        assert!(matches!(refused, Err(ErrorKind::Closed)), "{refused:?}");
    }
}

/// How far a call has come when its future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The locker has been told.
    NotSent,
    /// The request is on its way.
    Sent,
    /// The answer is on its way.
    Executed,
    /// The locker has the answer, the caller does not.
    Answered,
}

const STAGES: [Stage; 4] = [Stage::NotSent, Stage::Sent, Stage::Executed, Stage::Answered];

/// A locker behind a proxy, and a client that is not.
struct Scene {
    proxy: Proxy,
    locker: Locker,
    other: Client,
}

impl Scene {
    async fn open(cx: &Context<'_>) -> Self {
        let (proxy, locker, other) = through_proxy(cx).await;
        warm_up(cx, &locker).await;
        Self { proxy, locker, other }
    }

    /// Drives a future to the stage and drops it; then everything passes again.
    async fn dropped_at<T>(&self, stage: Stage, future: impl Future<Output = T>) {
        if stage != Stage::NotSent {
            self.proxy.hold(Direction::ToServer);
        }
        self.goes_on_to(stage, Box::pin(future)).await;
    }

    /// As [`dropped_at`](Self::dropped_at), when requests are held already.
    async fn goes_on_to<T>(&self, stage: Stage, mut future: Pin<Box<impl Future<Output = T>>>) {
        if stage == Stage::NotSent {
            polled(future.as_mut(), 1).await;
        } else {
            self.until_held(Direction::ToServer, future.as_mut()).await;
        }
        if matches!(stage, Stage::Executed | Stage::Answered) {
            self.proxy.hold(Direction::ToClient);
            self.proxy.let_go(Direction::ToServer);
            self.until_held(Direction::ToClient, future.as_mut()).await;
        }
        if stage == Stage::Answered {
            // It is not polled meanwhile, and the answer to another call comes after its own.
            self.proxy.let_go(Direction::ToClient);
            match within_reason("an answer", self.locker.inspect("nobody/locks/this")).await {
                // It was the locker's end that was answered.
                Err(error) if error.kind() == ErrorKind::Closed => {}
                seen => assert_eq!(done(seen), None),
            }
        }
        drop(future);
        self.proxy.let_go(Direction::ToServer);
        self.proxy.let_go(Direction::ToClient);
    }

    async fn until_held<T>(&self, direction: Direction, future: Pin<&mut impl Future<Output = T>>) {
        let stuck = async {
            tokio::select! {
                biased;
                _ = future => panic!("answered, although bytes are held {direction:?}"),
                () = self.proxy.held(direction) => {}
            }
        };
        within_reason("bytes to be held", stuck).await;
    }

    /// The name is free long before its lease ends, and several things at once still work, over few connections.
    async fn is_whole(&self, cx: &Context<'_>, name: &LockName) {
        self.other.until_free(name).await;
        let again: Vec<_> = (0..AT_ONCE)
            .map(|at| {
                let options = options(&cx.name(&format!("again-{at}")), LONG);
                let locker = self.locker.clone();
                tokio::spawn(async move { done(held(locker.lock(options).await).unlock().await) })
            })
            .collect();
        for again in again {
            within_reason("a lock that is free", joined(again)).await;
        }
        let lock = within_reason("the lock that is free", self.locker.lock(options(name, LONG))).await;
        done(held(lock).unlock().await);
        // An acquire that was dropped may have come back to life meanwhile, and is undone once more.
        self.other.release(&self.other.take_when_free(name, LONG).await).await;
        // The stages opened none, or one for each connection that was not used again.
        let opened = self.proxy.connections();
        assert!(opened <= MOST_CONNECTIONS, "{opened} connections for {AT_ONCE} calls at once");
    }
}

const AT_ONCE: usize = 8;

/// Pools of ten, listeners and what a driver opens for itself, and one more at each stage.
const MOST_CONNECTIONS: u64 = 30;
