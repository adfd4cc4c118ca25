//! What an administrator runs, or sets.

use golock_core::backend::fill;

use crate::keys::Prefix;

/// What a user of golock may do: what the scripts call, how they are called, and what connecting takes.
const COMMANDS: &str = "+evalsha +eval +time +hmget +hset +pexpire +del +publish +subscribe +ping +scan +wait +info \
                        +client|id +select +role +cluster|slots +asking";

pub(crate) fn text(prefix: &Prefix) -> String {
    // Keys and channels are those of this prefix.
    let pattern = prefix.acl_pattern();
    let rules = format!("resetkeys '~{pattern}' resetchannels '&{pattern}' -@all {COMMANDS}");
    let acl = format!("ACL SETUSER the_service on {rules}");
    // It ends no line.
    let key = prefix.as_str().escape_debug().to_string();
    fill(include_str!("schema.txt"), &[("acl", &acl), ("key", &key)])
}
