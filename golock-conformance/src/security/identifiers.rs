//! Identifiers (of tables, schemas, collections, prefixes) and names of locks that a careless statement would execute,
//! cut off or take for another.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use golock_core::store::{AcquireAnswer, AcquireRequest, ListRequest};
use golock_core::{LockName, LockStore, StoreError, StoreErrorKind};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::client::{LABEL, LONG, label};
use crate::context::{chain, lock_name, new_grant};
use crate::effort;

/// Hostile identifiers, all different: a fixed list, and some made up by chance. `GOLOCK_SEED=7` makes up others.
pub fn hostile() -> Vec<String> {
    let lengths = [1, 62, 63, 64, 65, 127, 128, 129, 254, 255, 256].map(|length| "x".repeat(length));
    // As long in bytes, but not in characters; a limit may lie in the middle of a character.
    let wide = [31, 32, 63, 64, 65].map(|length| "é".repeat(length));
    let cut = ["x".repeat(62) + "é", "x".repeat(63) + "é", "x".repeat(61) + "🔒", "🔒".repeat(16)];
    // Alike but for what comes after a limit that is easily overlooked.
    let alike = [63, 64, 128].map(|length| "y".repeat(length) + "z");
    let fixed = FIXED.iter().map(|&text| text.to_owned());
    let chosen = fixed.chain(lengths).chain(wide).chain(cut).chain(alike);
    let mut all: BTreeSet<String> = chosen.collect();
    let goal = all.len() + MADE_UP;
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&effort::seed().to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let pieces = proptest::collection::vec(proptest::sample::select(PIECES), 1..9);
    while all.len() < goal {
        match pieces.new_tree(&mut runner) {
            Ok(tree) => drop(all.insert(tree.current().concat())),
            Err(reason) => panic!("{reason}"),
        }
    }
    // It is there already, and no table of locks.
    all.remove("canary");
    all.into_iter().collect()
}

/// How a store over an identifier is opened, or fails to be.
pub type Opening = BoxFuture<'static, Result<Arc<dyn LockStore>, StoreError>>;

/// Each of the identifiers either works, and shares no lock with any other, or is refused as a configuration error before
/// anything is sent: `open` connects to the server, `open_nowhere` to where there is none. Says how many work.
///
/// # Panics
/// If it is otherwise.
pub async fn mean_exactly_themselves(
    identifiers: &[String],
    open: impl Fn(String) -> Opening,
    open_nowhere: impl Fn(String) -> Opening,
) -> usize {
    let opening = stream::iter(identifiers.to_vec()).map(|identifier: String| {
        let (here, nowhere) = (open(identifier.clone()), open_nowhere(identifier.clone()));
        async move { (identifier, here.await, nowhere.await) }
    });
    let mut stores = Vec::new();
    let mut opened = opening.buffered(AT_ONCE);
    while let Some((identifier, here, nowhere)) = opened.next().await {
        let Err(nowhere) = nowhere else { panic!("{identifier:?} was opened on no server") };
        let is_refused = nowhere.kind() == StoreErrorKind::Configuration;
        match here {
            Ok(store) => {
                assert!(!is_refused, "{identifier:?} works, but is refused: {}", chain(&nowhere));
                stores.push((identifier, store));
            }
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Configuration, "{identifier:?}: {}", chain(&error));
                assert!(is_refused, "{identifier:?} was refused by the server: {}", chain(&error));
            }
        }
    }
    let refused = identifiers.len() - stores.len();
    assert!(!stores.is_empty() && refused > 0, "{} work, {refused} are refused", stores.len());
    // One name, held in all of them at once; and one of each one's own.
    let common = lock_name("job");
    for (identifier, store) in &stores {
        for name in [&common, &own_name(identifier)] {
            let request = AcquireRequest::new(name.clone(), new_grant(), label(LABEL), LONG);
            let answers = store.acquire(&[request]).await;
            let is_granted = matches!(answers.as_deref(), Ok([AcquireAnswer::Granted { .. }]));
            assert!(is_granted, "{identifier:?} shares {name:?} with another: {answers:?}");
        }
    }
    for (identifier, store) in &stores {
        let listed = match store.list(&ListRequest::new("", 10)).await {
            Ok(listed) => listed,
            Err(error) => panic!("{identifier:?}: {}", chain(&error)),
        };
        let listed: BTreeSet<_> = listed.into_iter().map(|info| info.name).collect();
        assert_eq!(listed, BTreeSet::from([common.clone(), own_name(identifier)]), "in {identifier:?}");
    }
    stores.len()
}

/// Each of these, as the name of a lock, is a lock of its own, and comes back as it was given. The store holds no other.
///
/// # Panics
/// If it is otherwise.
pub async fn names_mean_exactly_themselves(store: &dyn LockStore, names: &[String]) {
    let names: BTreeSet<LockName> =
        names.iter().filter_map(|name| LockName::new(name.as_str()).ok()).collect();
    for name in &names {
        let request = AcquireRequest::new(name.clone(), new_grant(), label(LABEL), LONG);
        let answers = store.acquire(&[request]).await;
        let is_granted = matches!(answers.as_deref(), Ok([AcquireAnswer::Granted { .. }]));
        assert!(is_granted, "{name:?} is free: {answers:?}");
    }
    let listed = match store.list(&ListRequest::new("", names.len() + 1)).await {
        Ok(listed) => listed.into_iter().map(|info| info.name).collect::<Vec<_>>(),
        Err(error) => panic!("{}", chain(&error)),
    };
    assert_eq!(listed, names.into_iter().collect::<Vec<_>>());
}

/// A name for a lock of the identifier's own, which may be no name itself.
fn own_name(identifier: &str) -> LockName {
    lock_name(&format!("of {:.60}", format!("{identifier:?}")))
}

const AT_ONCE: usize = 8;
const MADE_UP: usize = 40;

const FIXED: &[&str] = &[
    "",
    " ",
    "  x",
    "x ",
    "locks",
    "Locks",
    "LOCKS",
    "lócks",
    "lo\u{301}cks",
    "select",
    "null",
    "a.b",
    "a..b",
    ".a",
    "a.",
    "\"",
    "a\"b",
    "\"a\".\"b\"",
    "'",
    "a'b",
    "`",
    "a`b",
    "``",
    "[",
    "a[b",
    "a]b",
    "[a].[b]",
    "]]",
    "{a}",
    "{",
    "}",
    "}{",
    "$a",
    "a$b",
    "$1",
    "$$",
    "?",
    "*",
    "a*",
    "a?",
    "%",
    "_",
    "\\",
    "a\\",
    "a\\'b",
    "/",
    "../a",
    "a\0",
    "\0",
    "a\0b",
    "a\nb",
    "a\r\nb",
    "\t",
    "\u{7f}",
    "\u{1}",
    "a;b",
    "a--b",
    "a/*b*/",
    "#a",
    "a,b",
    "(a)",
    "@a",
    ":a",
    "system.a",
    "\u{202e}a",
    "\u{feff}a",
    "数据库",
    "🔒",
    "canary\"; DROP TABLE canary; --",
    "canary'; DROP TABLE canary; --",
    "canary`; DROP TABLE canary; -- ",
    "canary]; DROP TABLE canary; --",
    "x'); DROP TABLE canary; --",
    "x\" (name bytea); DROP TABLE canary; --",
    "Canary",
    "x\n; DROP TABLE canary; --",
    // What a template may have to fill in.
    "{table}",
    "{table}'",
    "{table_in_text}",
    "{want}",
    "{skip_locked}",
    "{channel}",
    "{now_us}",
    "{collection}",
    "{database}",
    "{key}",
    "{acl}",
];

const PIECES: &[&str] = &[
    "a",
    "B",
    "0",
    "_",
    "-",
    " ",
    ".",
    "\"",
    "'",
    "`",
    "[",
    "]",
    "{",
    "}",
    "$",
    "\\",
    "/",
    "*",
    "?",
    "%",
    ";",
    "--",
    "/*",
    "*/",
    "#",
    ":",
    "@",
    "\n",
    "\0",
    "é",
    "🔒",
    "\u{301}",
    "ß",
    "canary",
    "DROP TABLE ",
    "$$",
    "''",
    "\"\"",
    "``",
    "]]",
];

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use golock_core::store::Operation;
    use golock_core::{LockStore, MemoryStore, StoreError, StoreErrorKind};

    use super::{Opening, hostile, mean_exactly_themselves};

    /// Opens what `store` makes of an identifier, and refuses those with a NUL.
    fn opener(store: impl Fn(&str) -> MemoryStore + Clone + Send + 'static) -> impl Fn(String) -> Opening {
        move |identifier| {
            let store = store.clone();
            Box::pin(async move {
                match identifier.contains('\0') {
                    true => Err(failure(StoreErrorKind::Configuration)),
                    false => Ok(Arc::new(store(&identifier)) as Arc<dyn LockStore>),
                }
            })
        }
    }

    fn nowhere(identifier: String) -> Opening {
        let is_refused = identifier.contains('\0');
        let kind = if is_refused { StoreErrorKind::Configuration } else { StoreErrorKind::Connection };
        Box::pin(async move { Err(failure(kind)) })
    }

    fn failure(kind: StoreErrorKind) -> StoreError {
        StoreError::new("toy", Operation::Connect, kind, "as the test says")
    }

    #[tokio::test]
    async fn identifiers_of_their_own_are_content() {
        mean_exactly_themselves(&hostile(), opener(|_| MemoryStore::new()), nowhere).await;
    }

    #[tokio::test]
    #[should_panic(expected = "shares")]
    async fn an_identifier_that_is_cut_off_is_noticed() {
        let stores: Arc<Mutex<std::collections::BTreeMap<String, MemoryStore>>> = Arc::default();
        let cut = move |identifier: &str| {
            let cut: String = identifier.chars().take(63).collect();
            stores.lock().unwrap().entry(cut).or_default().clone()
        };
        mean_exactly_themselves(&hostile(), opener(cut), nowhere).await;
    }

    #[tokio::test]
    #[should_panic(expected = "was refused by the server")]
    async fn an_identifier_that_the_server_has_to_refuse_is_noticed() {
        let late = |_| Box::pin(async { Err(failure(StoreErrorKind::Connection)) }) as Opening;
        mean_exactly_themselves(&hostile(), opener(|_| MemoryStore::new()), late).await;
    }
}
