//! The scripts, read from `lua/`.

use std::sync::LazyLock;

use fred::util::sha1_hash;
use golock_core::backend::without_comments;

/// A script as the server runs and knows it: for any number of names, on one node.
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) sha1: String,
}

pub(crate) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/acquire.lua")));
pub(crate) static WITHDRAW: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/withdraw.lua")));
pub(crate) static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/renew.lua")));
pub(crate) static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/release.lua")));
pub(crate) static HAND_OVER: LazyLock<Script> = LazyLock::new(|| {
    let (release, own) = (include_str!("lua/release.lua"), include_str!("lua/hand_over.lua"));
    Script::new(&format!("local function release(...)\n{release}\nend\n{own}"))
});
pub(crate) static MARK_WAITING: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/mark_waiting.lua")));
pub(crate) static FENCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/fence.lua")));
pub(crate) static INSPECT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/inspect.lua")));
pub(crate) static PURGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/purge.lua")));

impl Script {
    /// `own`: what is done to one name.
    fn new(own: &str) -> Self {
        let (prelude, each) = (include_str!("lua/prelude.lua"), include_str!("lua/each.lua"));
        let text = without_comments(&format!("{prelude}\nlocal function one(...)\n{own}\nend\n{each}"));
        Self { sha1: sha1_hash(&text), text }
    }
}
