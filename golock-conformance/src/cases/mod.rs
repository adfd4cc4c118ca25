//! The functions behind the names of the catalogue, a module a group.

pub(crate) mod batches;
pub(crate) mod cancelling;
pub(crate) mod connecting;
pub(crate) mod dropping;
pub(crate) mod enduring;
pub(crate) mod faults;
pub(crate) mod granting;
pub(crate) mod handing;
pub(crate) mod history;
pub(crate) mod locking;
pub(crate) mod names;
pub(crate) mod operating;
pub(crate) mod pushing;
pub(crate) mod racing;
pub(crate) mod regranting;
pub(crate) mod releasing;
pub(crate) mod renewing;
pub(crate) mod tokens;
pub(crate) mod waiting;
