//! The prefix of all keys of a store, and what follows from it.

use golock_core::LockName;

/// The longest prefix.
const MAX_BYTES: usize = 255;

/// What the keys of a store begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// `None`: it is empty, too long, or contains a NUL.
    pub(crate) fn new(prefix: &str) -> Option<Self> {
        let fits = (1..=MAX_BYTES).contains(&prefix.len()) && !prefix.contains('\0');
        fits.then(|| Self(prefix.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of a name.
    pub(crate) fn key(&self, name: &LockName) -> String {
        format!("{}{name}", self.0)
    }

    /// The name of a key; `None` if no name has that key.
    pub(crate) fn name(&self, key: &[u8]) -> Option<LockName> {
        LockName::read(key.strip_prefix(self.0.as_bytes())?)
    }

    /// The channel that tells of freed names; `lua/prelude.lua` makes it out in the same way.
    pub(crate) fn channel(&self) -> String {
        format!("{}freed", self.0)
    }

    /// The pattern, for SCAN, of all keys of names that begin with `names`.
    pub(crate) fn pattern(&self, names: &str) -> String {
        format!("{}*", literally(&format!("{}{names}", self.0)))
    }

    /// The pattern, for ACL SETUSER, of all keys. Rules can't contain spaces, and are printed in quotes: `?` stands for each.
    pub(crate) fn acl_pattern(&self) -> String {
        let is_space = |c: char| c.is_whitespace() || c.is_control() || c == '\'';
        let pattern = literally(&self.0);
        let pattern: String = pattern
            .chars()
            .map(|c| if is_space(c) { "?".repeat(c.len_utf8()) } else { c.to_string() })
            .collect();
        format!("{pattern}*")
    }
}

/// A glob pattern that matches this text and nothing else.
fn literally(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use golock_core::LockName;

    use super::Prefix;

    #[test]
    fn names_come_back_from_their_keys() {
        let prefix = Prefix::new("golock:").unwrap();
        for name in ["a", "golock:", "}{", "é\u{301}", " "] {
            let name = LockName::new(name).unwrap();
            assert_eq!(prefix.name(prefix.key(&name).as_bytes()), Some(name));
        }
        assert_eq!(prefix.name(b"golock:"), None, "no name is empty");
        assert_eq!(prefix.name(b"golock:\xff"), None);
        assert_eq!(prefix.name(b"golocka"), None);
    }

    #[test]
    fn patterns_match_the_prefix_literally() {
        let prefix = Prefix::new("a*[b]?\\:").unwrap();
        assert_eq!(prefix.pattern("c*"), "a\\*\\[b\\]\\?\\\\:c\\**");
        assert_eq!(Prefix::new("my locks:").unwrap().acl_pattern(), "my?locks:*");
        assert_eq!(Prefix::new("it's:").unwrap().acl_pattern(), "it?s:*");
    }

    #[test]
    fn a_prefix_has_to_be_there() {
        assert_eq!(Prefix::new(""), None);
        assert_eq!(Prefix::new("a\0"), None);
        assert_eq!(Prefix::new(&"a".repeat(256)), None);
    }
}
