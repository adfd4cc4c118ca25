//! The name of a lock: what two services agree on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::InvalidInput;

/// The name of a lock: 1 to 255 bytes of UTF-8 without NUL, compared byte by byte on every backend.
///
/// `job`, `Job`, `job ` (with a trailing space) and a decomposed `jób` are four different locks, whatever
/// collation the database has. Cloning is cheap.
///
/// ```
/// use golock_core::LockName;
///
/// let name = LockName::new("nightly-report")?;
/// assert_eq!(name.as_str(), "nightly-report");
/// assert!(LockName::new("").is_err());
/// # Ok::<(), golock_core::InvalidInput>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockName(Arc<str>);

impl LockName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidInput`] if it is empty, longer than [`MAX_BYTES`](Self::MAX_BYTES) or contains a NUL.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, InvalidInput> {
        let name = name.into();
        match name.len() {
            0 => Err(InvalidInput::NameEmpty),
            1..=Self::MAX_BYTES if !name.contains('\0') => Ok(Self(name)),
            1..=Self::MAX_BYTES => Err(InvalidInput::NameHasNul),
            bytes => Err(InvalidInput::NameTooLong { bytes }),
        }
    }

    /// The name in a row. `None`: golock did not write it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().and_then(|name| Self::new(name).ok())
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes that a backend compares.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for LockName {
    type Err = InvalidInput;

    fn from_str(name: &str) -> Result<Self, InvalidInput> {
        Self::new(name)
    }
}

impl From<LockName> for String {
    /// For [`LockOptions::new`](crate::LockOptions::new): to lock what [`Locker::list`](crate::Locker::list) has found.
    fn from(name: LockName) -> Self {
        (*name.0).to_owned()
    }
}

impl AsRef<str> for LockName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
