//! All that a store does, once: for accounts that may do no more than that.

use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, AcquireRequest, ListRequest, MarkRequest, ReleaseAnswer, ReleaseRequest, RenewAnswer,
    RenewRequest,
};
use golock_core::{LockName, LockStore, StoreError};

use crate::client::{LABEL, LONG, label};
use crate::context::{lock_name, new_grant};

/// Does everything that a store can, on a name that nobody else uses, in a space that holds nothing.
///
/// # Errors
/// The first of the store's.
///
/// # Panics
/// If an answer is not what it should be.
pub async fn everything(store: &dyn LockStore) -> Result<(), StoreError> {
    let name = lock_name("everything");
    let (grant, token) = take(store, &name).await?;
    let renewed = store.renew(&[RenewRequest::new(name.clone(), grant, token, LONG)]).await?;
    assert!(matches!(renewed[..], [RenewAnswer::Renewed { .. }]), "{renewed:?}");
    store.mark_waiting(&[MarkRequest::new(name.clone(), LONG)]).await?;
    let seen = store.inspect(&name).await?;
    assert_eq!(seen.map(|info| info.token), Some(token));
    assert_eq!(store.list(&ListRequest::new("", 10)).await?.len(), 1);
    let released = store.release(&[ReleaseRequest::new(name.clone(), grant, Duration::ZERO)]).await?;
    assert_eq!(released, [ReleaseAnswer::Released]);
    let (_, token) = take(store, &name).await?;
    let fenced = store.revoke(&name).await?;
    assert!(fenced > Some(token), "{fenced:?} after {token}");
    assert!(store.force_unlock(&name).await? > fenced);
    // A name is purged when the server's clock has moved on since it was freed.
    while store.purge(Duration::ZERO).await? == 0 {}
    Ok(())
}

async fn take(
    store: &dyn LockStore,
    name: &LockName,
) -> Result<(golock_core::GrantId, golock_core::FencingToken), StoreError> {
    let grant = new_grant();
    loop {
        let request = AcquireRequest::new(name.clone(), grant, label(LABEL), LONG);
        match store.acquire(&[request]).await?[..] {
            [AcquireAnswer::Granted { token, .. }] => return Ok((grant, token)),
            [AcquireAnswer::Raced] => {}
            ref answers => panic!("{name} is free: {answers:?}"),
        }
    }
}
