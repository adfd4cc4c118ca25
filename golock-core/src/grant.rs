//! The identity of one acquisition.

use std::fmt;

/// 128 random bits, new for every acquisition: the only thing that lets a holder renew or release.
///
/// The engine draws it; a store only compares it, byte by byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// A grant id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes that a store keeps and compares.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The grant id of these bytes, which a store has kept; `None`: golock did not write them.
    pub fn read(stored: &[u8]) -> Option<Self> {
        stored.try_into().ok().map(Self)
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
