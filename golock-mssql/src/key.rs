//! Names as the table has them.

use golock_core::LockName;
use golock_core::store::ListRequest;

/// Stands behind the bytes of every name in the table. SQL Server fills the shorter of two binary values up with zeros
/// before it compares them; a name never ends in a zero with this behind it, and is still ordered by its bytes.
const SENTINEL: u8 = 1;

/// A name as the table has it.
pub(crate) fn key(name: &LockName) -> Vec<u8> {
    [name.as_bytes(), &[SENTINEL]].concat()
}

/// The name that a key of the table stands for; `None`: golock did not write it.
pub(crate) fn name(key: &[u8]) -> Option<LockName> {
    LockName::read(key.strip_suffix(&[SENTINEL])?)
}

/// All keys after the first and before the second are those of names with the prefix that is asked for; `None`: there are none.
pub(crate) fn range(request: &ListRequest) -> Option<(Vec<u8>, Vec<u8>)> {
    if request.prefix.contains('\0') {
        return None;
    }
    // No key ends with a prefix of its name: the sentinel stands behind it.
    Some((request.prefix.as_bytes().to_vec(), request.after_prefix()))
}

#[cfg(test)]
mod tests {
    use golock_core::LockName;
    use golock_core::store::ListRequest;

    use super::{key, name, range};

    #[test]
    fn a_key_is_its_names_own() {
        let wanted = LockName::new("jób\u{1}").unwrap();
        assert_eq!(name(&key(&wanted)), Some(wanted));
        assert_eq!(name(b"somebody else's"), None);
        assert_eq!(name(b"\x01"), None);
    }

    #[test]
    fn a_range_has_all_names_of_a_prefix_and_no_others() {
        let names =
            ["a", "a\u{1}", "a\u{1}\u{1}", "a\u{1}b", "a\u{2}", "ab", "a%", "b", "\u{1}", "z\u{10ffff}", "á"];
        for prefix in ["", "a", "a\u{1}", "a\u{1}\u{1}", "a%", "\u{1}", "z", "\u{c3}", "b\u{1}"] {
            let (after, before) = range(&ListRequest::new(prefix, 1)).unwrap();
            for name in names {
                let key = key(&LockName::new(name).unwrap());
                let is_in = filled(&key) > filled(&after) && filled(&key) < filled(&before);
                assert_eq!(is_in, name.starts_with(prefix), "{name:?} {prefix:?}");
            }
        }
        assert_eq!(range(&ListRequest::new("a\0", 1)), None);
    }

    #[test]
    fn keys_differ_and_are_ordered_as_their_names() {
        let names = ["a", "a\u{1}", "a\u{1}\u{1}", "a ", "A", "ab", "\u{1}", "á"];
        for one in names {
            for other in names {
                let [one_key, other_key] =
                    [one, other].map(|name| filled(&key(&LockName::new(name).unwrap())));
                assert_eq!(
                    one.as_bytes().cmp(other.as_bytes()),
                    one_key.cmp(&other_key),
                    "{one:?} {other:?}"
                );
            }
        }
    }

    /// As SQL Server compares binary values: the shorter is filled up with zeros.
    fn filled(bytes: &[u8]) -> Vec<u8> {
        let mut filled = bytes.to_vec();
        filled.resize(20, 0);
        filled
    }
}
