//! What the types promise to the compiler, so that a change that breaks a user's build breaks this first.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use golock_core::backend::Creation;
use golock_core::store::{LockInfo, Wakeup, Wakeups};
use golock_core::{
    Error, ErrorKind, FencingToken, GrantId, Holder, InvalidInput, Label, Lock, LockName, LockOptions,
    LockStore, LockWatch, Locker, LockerBuilder, LostReason, MemoryStore, StoreError, StoreErrorKind,
};
use static_assertions::{assert_impl_all, assert_not_impl_any, assert_obj_safe};

use crate::common::options;

assert_obj_safe!(LockStore);
assert_impl_all!(dyn LockStore: Debug, Send, Sync);
assert_impl_all!(Arc<dyn LockStore>: LockStore);
assert_impl_all!(Wakeups: Send, Unpin);

assert_impl_all!(Locker: Clone, Debug, Send, Sync, Unpin);
assert_impl_all!(LockerBuilder: Debug, Send, Sync);
assert_impl_all!(Lock: Debug, Send, Sync, Unpin);
assert_not_impl_any!(Lock: Clone, Copy);
assert_impl_all!(LockWatch: Clone, Debug, Send, Sync, Unpin);
assert_impl_all!(LockOptions: Clone, Debug, Send, Sync);
assert_impl_all!(MemoryStore: Clone, Debug, Default, Send, Sync);

assert_impl_all!(Error: StdError, Debug, Display, Send, Sync, Unpin);
assert_impl_all!(StoreError: StdError, Clone, Send, Sync, Unpin);
assert_impl_all!(InvalidInput: StdError, Clone, Eq, Send, Sync);
assert_impl_all!(Error: From<InvalidInput>, From<StoreError>);
assert_impl_all!(ErrorKind: Copy, Eq, Hash, Debug, Send, Sync);
assert_impl_all!(StoreErrorKind: Copy, Eq, Hash, Debug, Display, Send, Sync);
assert_impl_all!(LostReason: Copy, Eq, Hash, Debug, Display, Send, Sync);

assert_impl_all!(LockName: Clone, Ord, Hash, Debug, Display, Send, Sync, AsRef<str>, std::str::FromStr);
assert_impl_all!(Label: Clone, Ord, Hash, Debug, Display, Send, Sync);
assert_impl_all!(GrantId: Copy, Ord, Hash, Debug, Display, Send, Sync);
assert_impl_all!(FencingToken: Copy, Ord, Hash, Debug, Display, Send, Sync, Into<i64>);
assert_impl_all!(Holder: Clone, Eq, Debug, Display, Send, Sync);
assert_impl_all!(LockInfo: Clone, Eq, Debug, Send, Sync);
assert_impl_all!(Creation: Debug, Send, Sync);
#[cfg(feature = "tls")]
assert_impl_all!(golock_core::backend::tls::Tls: Clone, Debug, Send, Sync);
assert_impl_all!(Wakeup: Clone, Eq, Debug, Send, Sync);

fn is_static<T: 'static>() {}
fn is_send<T: Send>(future: T) -> T {
    future
}
fn is_send_and_static<T: Send + 'static>(future: T) -> T {
    future
}

#[test]
fn types_borrow_nothing() {
    is_static::<Locker>();
    is_static::<Lock>();
    is_static::<LockWatch>();
    is_static::<Error>();
    is_static::<StoreError>();
}

#[tokio::test(start_paused = true)]
async fn futures_can_be_sent_and_spawned() {
    let locker = Locker::new(MemoryStore::new());
    drop(is_send(locker.try_lock(options("job"))).await.unwrap());
    let lock = is_send(locker.lock(options("job"))).await.unwrap();
    is_send(lock.extend(Duration::from_secs(90))).await.unwrap();
    drop(is_send_and_static(lock.lost()));
    drop(is_send_and_static(lock.watch().lost()));
    is_send_and_static(lock.unlock()).await.unwrap();
    is_send(locker.inspect("job")).await.unwrap();
    is_send(locker.list("")).await.unwrap();
    is_send(locker.revoke("job")).await.unwrap();
    is_send(locker.force_unlock("job")).await.unwrap();
    is_send(locker.purge(Duration::ZERO)).await.unwrap();

    let in_a_task = locker.clone();
    let work = async move { in_a_task.run(options("job"), async |lock| lock.token()).await };
    tokio::spawn(work).await.unwrap().unwrap();

    // What work borrows, it may borrow mutably, and need not be sent if the future is not.
    let mut counted = 0;
    locker.run(options("job"), async |_| counted += 1).await.unwrap();
    let not_sent = std::rc::Rc::new(counted);
    assert_eq!(locker.run(options("job"), async |_| *not_sent).await.unwrap(), 1);

    is_send(locker.shutdown(Duration::ZERO)).await;
}

#[tokio::test(start_paused = true)]
async fn run_can_be_spawned_as_it_is() {
    let locker: &'static Locker = Box::leak(Box::new(Locker::new(MemoryStore::new())));
    let task = tokio::spawn(locker.run(options("job"), |lock| async move { lock.is_held() }));
    assert!(task.await.unwrap().unwrap());
}
