//! What a caller asks for when it locks a name.

use std::time::Duration;

use crate::{InvalidInput, Label, LockName};

/// What to lock, for whom, for how long: [`Locker::lock`](crate::Locker::lock) and
/// [`try_lock`](crate::Locker::try_lock) take it, check it once, and send nothing if it is wrong.
///
/// ```
/// use std::time::Duration;
/// use golock_core::LockOptions;
///
/// let options = LockOptions::new("nightly-report")
///     .lock_by("worker-1")
///     .lock_at_least(Duration::from_secs(5))
///     .lock_at_most(Duration::from_secs(10));
/// ```
///
/// # Which kind of lease
/// * **A job of known length**: `lock_at_most` a little above the longest run, no renewal (the default). At
///   most means at most: should the work hang, another takes over after that time.
/// * **A job of unknown length, or a leader**: [`auto_renew`](Self::auto_renew), with a short `lock_at_most`.
///   The lease is renewed for as long as the [`Lock`](crate::Lock) lives, so a crash frees it soon, but work
///   that hangs without crashing keeps it: watch it yourself.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a Locker takes them"]
pub struct LockOptions {
    name: String,
    lock_by: Option<String>,
    lock_at_least: Duration,
    lock_at_most: Duration,
    wait: Option<Duration>,
    auto_renew: bool,
}

impl LockOptions {
    /// The lease when the caller names none: 15 s.
    pub const DEFAULT_LOCK_AT_MOST: Duration = Duration::from_secs(15);
    /// The shortest lease: 10 ms.
    pub const MIN_LEASE: Duration = Duration::from_millis(10);
    /// The longest lease: 365 days.
    pub const MAX_LEASE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// Locks `name`, 1 to 255 bytes without NUL, compared byte by byte.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            lock_by: None,
            lock_at_least: Duration::ZERO,
            lock_at_most: Self::DEFAULT_LOCK_AT_MOST,
            wait: None,
            auto_renew: false,
        }
    }

    /// Who holds the lock, for people: 1 to 255 bytes without control characters. Default: host name and
    /// process id.
    pub fn lock_by(mut self, label: impl Into<String>) -> Self {
        self.lock_by = Some(label.into());
        self
    }

    /// The lock stays taken at least this long after it was granted, even if it is unlocked sooner or its
    /// holder dies: a short job does not run twice in a row on machines whose clocks differ. Default: 0; at
    /// most [`lock_at_most`](Self::lock_at_most).
    pub fn lock_at_least(mut self, at_least: Duration) -> Self {
        self.lock_at_least = at_least;
        self
    }

    /// The lease: the lock frees itself this long after it was granted, should its holder die. With
    /// [`auto_renew`](Self::auto_renew) it bounds each renewal instead. Default: 15 s; 10 ms to 365 days.
    pub fn lock_at_most(mut self, at_most: Duration) -> Self {
        self.lock_at_most = at_most;
        self
    }

    /// How long [`lock`](crate::Locker::lock) and [`run`](crate::Locker::run) wait for a lock that is held;
    /// transient errors of the store are waited out within it too. Default: for ever. Zero tries once.
    /// [`try_lock`](crate::Locker::try_lock) never waits.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Renews the lease, at a third of it, for as long as the [`Lock`](crate::Lock) lives. Default: off.
    ///
    /// It begins when the caller has the lock: one that was granted to a future that nobody polls runs out with its lease.
    pub fn auto_renew(mut self, auto_renew: bool) -> Self {
        self.auto_renew = auto_renew;
        self
    }

    /// What a locker would find wrong with these options before it sends anything: for who reads them from a file, and wants to know
    /// at the start.
    ///
    /// ```
    /// use golock_core::LockOptions;
    ///
    /// assert!(LockOptions::new("nightly-report").validate().is_ok());
    /// assert!(LockOptions::new("").validate().is_err());
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`] says which is outside of its bounds.
    pub fn validate(&self) -> Result<(), InvalidInput> {
        self.clone().check().map(drop)
    }

    /// The options, checked: what the engine works with.
    pub(crate) fn check(self) -> Result<Wanted, InvalidInput> {
        let lease = check_lease(self.lock_at_most)?;
        if self.lock_at_least > lease {
            return Err(InvalidInput::AtLeastAboveAtMost { at_least: self.lock_at_least, at_most: lease });
        }
        Ok(Wanted {
            name: LockName::new(self.name)?,
            lock_by: self.lock_by.map_or_else(|| Ok(Label::of_this_process()), Label::new)?,
            lock_at_least: self.lock_at_least,
            lease,
            wait: self.wait,
            auto_renew: self.auto_renew,
        })
    }
}

/// Checked options.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: LockName,
    pub(crate) lock_by: Label,
    pub(crate) lock_at_least: Duration,
    pub(crate) lease: Duration,
    pub(crate) wait: Option<Duration>,
    pub(crate) auto_renew: bool,
}

/// A lease that every backend can keep.
pub(crate) fn check_lease(lease: Duration) -> Result<Duration, InvalidInput> {
    if (LockOptions::MIN_LEASE..=LockOptions::MAX_LEASE).contains(&lease) {
        Ok(lease)
    } else {
        Err(InvalidInput::LeaseOutOfRange { lease })
    }
}
