//! What an administrator runs, or sets.

use crate::keys::Prefix;

/// What a user of golock may do: what the scripts call, how they are called, and what connecting takes.
const COMMANDS: &str = "+evalsha +eval +time +hmget +hset +pexpire +del +publish +subscribe +ping +scan +wait +info \
                        +client|id +select +cluster|slots +cluster|info";

pub(crate) fn text(prefix: &Prefix) -> String {
    let acl = format!("ACL SETUSER the_service on {}", rules(prefix));
    // Nothing is filled into a prefix, which may look like something to fill in, too; and it ends no line.
    let key = prefix.as_str().escape_debug().to_string();
    let parts: Vec<String> =
        include_str!("schema.txt").split("{acl}").map(|part| part.replace("{key}", &key)).collect();
    parts.join(&acl)
}

/// The rules of such a user. Keys and channels are those of this prefix.
fn rules(prefix: &Prefix) -> String {
    let pattern = prefix.acl_pattern();
    format!("resetkeys '~{pattern}' resetchannels '&{pattern}' -@all {COMMANDS}")
}
