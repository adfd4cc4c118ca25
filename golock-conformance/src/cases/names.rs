//! Same bytes, same lock: names that databases like to take for one another.

use std::collections::BTreeSet;

use golock_core::LockName;
use golock_core::store::{AcquireAnswer, AcquireRequest, ListRequest, ReleaseAnswer};

use crate::client::{Client, LABEL, LONG, label, ok};
use crate::context::{Context, lock_name, new_grant};

pub(crate) async fn every_name_is_its_own_lock(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let names = alike();
    let mut grants = Vec::new();
    for name in &names {
        // Refused here if an earlier name is taken for this one.
        grants.push(client.take(name, LONG).await);
    }
    for (name, grant) in names.iter().zip(&grants) {
        let info = client.info(name).await;
        assert_eq!((&info.name, info.token), (name, grant.token));
        client.renewed(grant, LONG).await;
    }
    // Freeing one frees no other.
    let mut held: BTreeSet<&LockName> = names.iter().collect();
    for grant in &grants {
        assert_eq!(client.release(grant).await, ReleaseAnswer::Released);
        held.remove(&grant.name);
        let listed = client.list(&ListRequest::new("", names.len())).await;
        let listed: Vec<&LockName> = listed.iter().map(|info| &info.name).collect();
        let expected: Vec<&LockName> = held.iter().copied().collect();
        assert_same(&listed, &expected, &format!("what is held when {:?} is freed", grant.name));
    }
}

pub(crate) async fn names_are_listed_by_their_bytes(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let names: BTreeSet<LockName> = alike().into_iter().collect();
    take_all(&client, &names).await;
    let listed = client.list(&ListRequest::new("", names.len() + 1)).await;
    let listed: Vec<&LockName> = listed.iter().map(|info| &info.name).collect();
    assert_same(&listed, &names.iter().collect::<Vec<_>>(), "all names");
}

pub(crate) async fn prefixes_are_compared_by_their_bytes(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let names: BTreeSet<LockName> = alike().into_iter().collect();
    take_all(&client, &names).await;
    // Each name, its first character, and what some language takes for a pattern.
    let mut prefixes: BTreeSet<String> =
        ["%", "_", "*", "?", "[", "[a-z]", "\\", "^", "^a", ".", ".*", "a%", "a_", "(", "\\%"]
            .map(str::to_owned)
            .into();
    for name in &names {
        prefixes.insert(name.as_str().to_owned());
        prefixes.extend(name.as_str().chars().next().map(String::from));
    }
    prefixes.insert("x".repeat(300));
    for prefix in prefixes {
        let listed = client.list(&ListRequest::new(prefix.as_str(), names.len())).await;
        let listed: Vec<&LockName> = listed.iter().map(|info| &info.name).collect();
        let expected: Vec<&LockName> =
            names.iter().filter(|name| name.as_str().starts_with(&prefix)).collect();
        assert_same(&listed, &expected, &format!("names that begin with {prefix:?}"));
    }
}

pub(crate) async fn pages_hold_every_name_once(cx: &Context<'_>) {
    let client = cx.client_in(&cx.own_space()).await;
    let mut names: Vec<LockName> =
        alike().into_iter().filter(|name| name.as_str().starts_with('a')).collect();
    names.sort();
    assert!(names.len() > 12, "the list of names is too short for this");
    take_all(&client, &names).await;
    client.take(&lock_name("A"), LONG).await;
    client.take(&lock_name("b"), LONG).await;
    // Free names among them make no page shorter.
    for at in [8, 5, 4, 1] {
        client.force_unlock(&names.remove(at)).await;
    }
    for limit in [1, 3, names.len()] {
        let mut request = ListRequest::new("a", limit);
        let mut seen = Vec::new();
        loop {
            let page = client.list(&request).await;
            assert!(page.len() <= limit, "a page of {limit} has {} names", page.len());
            let Some(last) = page.last() else { break };
            let is_full = page.len() == limit || seen.len() + page.len() >= names.len();
            assert!(is_full, "a page of {limit} has {} names, and is not the last", page.len());
            request = request.after(last.name.clone());
            seen.extend(page.into_iter().map(|info| info.name));
        }
        let (seen, names): (Vec<_>, Vec<_>) = (seen.iter().collect(), names.iter().collect());
        assert_same(&seen, &names, &format!("pages of {limit}"));
    }
    // A page may begin after a name that is not there, or outside of the prefix.
    let before = client.list(&ListRequest::new("a", 1).after(lock_name("A"))).await;
    assert_eq!(before.first().map(|info| &info.name), names.first());
    assert_eq!(client.list(&ListRequest::new("a", 1).after(lock_name("b"))).await, []);
}

/// Holds all the names, in as few calls as the store allows.
async fn take_all(client: &Client, names: impl IntoIterator<Item = &LockName>) {
    let wanted: Vec<AcquireRequest> = names
        .into_iter()
        .map(|name| AcquireRequest::new(name.clone(), new_grant(), label(LABEL), LONG))
        .collect();
    for batch in wanted.chunks(client.store.capabilities().max_batch) {
        let answers = ok(client.store.acquire(batch).await);
        let granted = answers.iter().all(|answer| matches!(answer, AcquireAnswer::Granted { .. }));
        assert!(granted, "names that nobody held: {answers:?}");
    }
}

/// The same names in the same order; says where they differ, for there are many.
fn assert_same(listed: &[&LockName], expected: &[&LockName], what: &str) {
    let missing: Vec<_> = expected.iter().filter(|name| !listed.contains(name)).collect();
    let too_many: Vec<_> = listed.iter().filter(|name| !expected.contains(name)).collect();
    assert!(missing.is_empty() && too_many.is_empty(), "{what}: missing {missing:?}, too many {too_many:?}");
    let misplaced = listed.iter().zip(expected).find(|(listed, expected)| listed != expected);
    assert!(misplaced.is_none(), "{what}: in another order, first at {misplaced:?}");
    assert_eq!(listed.len(), expected.len(), "{what}: some are listed twice");
}

/// Names that are all different, byte by byte.
fn alike() -> Vec<LockName> {
    let longest = "a".repeat(255);
    let names = [
        // Case, accents, width, normal forms, ligatures: what a collation calls equal.
        "a",
        "A",
        "\u{e1}",
        "a\u{301}",
        "\u{c1}",
        "\u{ff41}",
        "job",
        "Job",
        "JOB",
        "j\u{f3}b",
        "jo\u{301}b",
        "\u{df}",
        "ss",
        "\u{1e9e}",
        "\u{fb01}",
        "fi",
        "\u{131}",
        "i",
        "\u{130}",
        "i\u{307}",
        "\u{c5}",
        "\u{212b}",
        "\u{3a9}",
        "\u{2126}",
        // White space, at the end above all.
        "a ",
        "a  ",
        " a",
        "a\t",
        "a\n",
        "a\r\n",
        "a\u{a0}",
        "a\u{3000}",
        " ",
        "\t",
        "a\u{200b}",
        "\u{feff}a",
        "a\u{1}",
        "\u{7f}",
        // What some language takes for more than a character.
        "a'",
        "a''",
        "a\"",
        "a`",
        "a\\",
        "a\\\\",
        "a%",
        "a_",
        "%",
        "_",
        "a*",
        "*",
        "a?",
        "[a]",
        "a[",
        "a]",
        "a{",
        "{a}",
        "}a",
        "}",
        "{",
        "{}",
        "a$",
        "$a",
        "$where",
        "a.b",
        "a.",
        ".a",
        ".",
        "a;",
        "a--",
        "a/*",
        "a#",
        "a:b",
        "a/b",
        "../a",
        "a|b",
        "a&b",
        "a,b",
        "a=b",
        "a+b",
        "a~",
        "(a)",
        "^a",
        "0",
        "00",
        "0.0",
        "1e0",
        "-1",
        "null",
        "NULL",
        "true",
        "{\"a\":1}",
        "a\u{202e}b",
        // Beyond the basic plane, joined, alone.
        "🔒",
        "🔐",
        "👩‍🚀",
        "👩🚀",
        "\u{1f1e9}\u{1f1ea}",
        "数据库",
        "\u{10ffff}",
        // Prefixes of others, and the longest.
        "aa",
        "aaa",
        "aaaa",
        &longest[..254],
        &longest,
    ];
    // Of 255 and 254 bytes, but 254 and 253 characters.
    let wide = [253, 252].map(|ascii| "b".repeat(ascii) + "\u{e9}");
    let names: Vec<LockName> =
        names.into_iter().chain(wide.iter().map(String::as_str)).map(lock_name).collect();
    let distinct: BTreeSet<&LockName> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "the suite's own names are not distinct");
    names
}
