//! What the engine asks of a store.

use std::time::Duration;

use crate::{FencingToken, GrantId, Label, LockName};

/// One name to acquire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcquireRequest {
    /// The lock.
    pub name: LockName,
    /// The grant that wants it.
    pub grant: GrantId,
    /// The holder's label.
    pub lock_by: Label,
    /// How long the lease lasts from now: 10 ms to 365 days.
    pub lease: Duration,
}

impl AcquireRequest {
    /// Asks for `name`.
    pub fn new(name: LockName, grant: GrantId, lock_by: Label, lease: Duration) -> Self {
        Self { name, grant, lock_by, lease }
    }
}

/// One lease to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenewRequest {
    /// The lock.
    pub name: LockName,
    /// The grant that holds it.
    pub grant: GrantId,
    /// The token it was granted under.
    pub token: FencingToken,
    /// How long the lease lasts from now, at least: 10 ms to 365 days.
    pub lease: Duration,
}

impl RenewRequest {
    /// Renews the lease of `grant` on `name`.
    pub fn new(name: LockName, grant: GrantId, token: FencingToken, lease: Duration) -> Self {
        Self { name, grant, token, lease }
    }
}

/// One grant to give back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReleaseRequest {
    /// The lock.
    pub name: LockName,
    /// The grant to give back. It may hold nothing: its acquire may not have arrived yet.
    pub grant: GrantId,
    /// How long after it was granted the lock stays taken. Zero undoes an acquire.
    pub lock_at_least: Duration,
}

impl ReleaseRequest {
    /// Gives `grant` on `name` back.
    pub fn new(name: LockName, grant: GrantId, lock_at_least: Duration) -> Self {
        Self { name, grant, lock_at_least }
    }
}

/// A grant to give back, and the next of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandOverRequest {
    /// What is given back.
    pub release: ReleaseRequest,
    /// What is granted then: of the same name.
    pub next: AcquireRequest,
}

impl HandOverRequest {
    /// Gives a grant back, and asks for the next of the same name.
    pub fn new(release: ReleaseRequest, next: AcquireRequest) -> Self {
        Self { release, next }
    }
}

/// One name that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MarkRequest {
    /// The lock.
    pub name: LockName,
    /// How long the mark stands from now.
    pub standing: Duration,
}

impl MarkRequest {
    /// Marks that somebody waits for `name`.
    pub fn new(name: LockName, standing: Duration) -> Self {
        Self { name, standing }
    }
}

/// A page of the locks that are held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRequest {
    /// Only names that begin with these bytes; may be empty.
    pub prefix: String,
    /// Only names after this one, byte by byte.
    pub after: Option<LockName>,
    /// At most this many.
    pub limit: usize,
}

impl ListRequest {
    /// The first page of at most `limit` names that begin with `prefix`.
    pub fn new(prefix: impl Into<String>, limit: usize) -> Self {
        Self { prefix: prefix.into(), after: None, limit }
    }

    /// The page after `name`.
    #[must_use]
    pub fn after(mut self, name: LockName) -> Self {
        self.after = Some(name);
        self
    }

    /// The end of the names that begin with the prefix: all of them come before these bytes, and all that come after them do not.
    /// For stores that keep names ordered by their bytes.
    ///
    /// ```
    /// use golock_core::store::ListRequest;
    ///
    /// assert_eq!(ListRequest::new("a%", 10).after_prefix(), b"a&");
    /// ```
    pub fn after_prefix(&self) -> Vec<u8> {
        // No byte of UTF-8 is 255.
        self.text_after_prefix().map_or_else(|| vec![u8::MAX], String::into_bytes)
    }

    /// The same as text, for stores that keep text: UTF-8 is ordered as its characters are. `None`: nothing comes after them.
    pub fn text_after_prefix(&self) -> Option<String> {
        let mut head = self.prefix.clone();
        while let Some(last) = head.pop() {
            // The range leaves out what is no character.
            if let Some(next) = (last..=char::MAX).nth(1) {
                head.push(next);
                return Some(head);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::ListRequest;

    #[test]
    fn a_prefix_ends_before_the_next_character() {
        for (prefix, text) in [
            ("", None),
            ("a%", Some("a&")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ] {
            let request = ListRequest::new(prefix, 1);
            assert_eq!(request.text_after_prefix().as_deref(), text);
            assert_eq!(request.after_prefix(), text.map_or(&[255][..], str::as_bytes));
        }
        assert!("\u{10ffff}\u{10ffff}".as_bytes() < &[255][..]);
    }
}
