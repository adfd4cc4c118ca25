//! Who holds a lock, for people to read.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::InvalidInput;

/// Who holds a lock, for people: 1 to 255 bytes of UTF-8 without control characters.
///
/// A label identifies nobody: two holders may share one, and what a grant may do never depends on it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// The longest label, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks a label.
    ///
    /// # Errors
    /// [`InvalidInput`] if it is empty, longer than [`MAX_BYTES`](Self::MAX_BYTES) or contains a control
    /// character (a label ends up in logs and terminals).
    pub fn new(label: impl Into<Arc<str>>) -> Result<Self, InvalidInput> {
        let label = label.into();
        match label.len() {
            0 => Err(InvalidInput::LabelEmpty),
            1..=Self::MAX_BYTES if !label.chars().any(char::is_control) => Ok(Self(label)),
            1..=Self::MAX_BYTES => Err(InvalidInput::LabelHasControl),
            bytes => Err(InvalidInput::LabelTooLong { bytes }),
        }
    }

    /// The label in a row that somebody else may have written: one that can't be read must not hide the lock.
    pub fn read(bytes: &[u8]) -> Self {
        Self::new(&*String::from_utf8_lossy(bytes)).unwrap_or_else(|_| Self("(unreadable)".into()))
    }

    /// The label as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The label of a row that nobody was granted yet.
    pub(crate) fn nobody() -> Self {
        Self("-".into())
    }

    /// Host name and process id, `report-7:4211`: what `lock_by` is when the caller says nothing.
    pub(crate) fn of_this_process() -> Self {
        static LABEL: OnceLock<Label> = OnceLock::new();
        LABEL
            .get_or_init(|| {
                let host = gethostname::gethostname().to_string_lossy().into_owned();
                let host: String = host.chars().filter(|c| !c.is_control()).take(50).collect();
                Self(format!("{host}:{}", std::process::id()).into())
            })
            .clone()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Label {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
