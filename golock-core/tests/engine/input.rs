//! What a caller may pass: the same bytes are the same lock, or a typed error before any request (S20, S21).

use std::collections::BTreeSet;
use std::time::Duration;

use golock_core::{FencingToken, GrantId, InvalidInput, Label, LockName, LockOptions, Locker, MemoryStore};
use proptest::collection::{btree_set, vec};
use proptest::prelude::{
    ProptestConfig as Config, Strategy, any, prop, prop_assert, prop_assert_eq, proptest,
};

use crate::common::{Scripted, secs};

fn in_virtual_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(run)
}

/// Text of any length around the limits, with what databases trip over.
fn text() -> impl Strategy<Value = String> {
    let tricky = prop::sample::select(vec![
        "", " ", "\t", "a", "A", "á", "a\u{301}", "é", "日", "🔒", "\0", "\n", "\r\n", "\u{1b}", "'", "\"",
        "%", "_", "{", "}", "$", ".", "\\", "\u{7f}", "\u{85}", "\u{feff}", "\u{2028}",
    ]);
    let lengths = prop::sample::select(vec![0_usize, 1, 2, 3, 127, 253, 254, 255, 256, 1000]);
    (vec(tricky, 0..6), lengths, any::<char>())
        .prop_map(|(parts, length, fill)| parts.concat() + &fill.to_string().repeat(length / fill.len_utf8()))
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn name_is_taken_as_it_is_or_refused(text in text()) {
        let expected = match text.len() {
            0 => Err(InvalidInput::NameEmpty),
            256.. => Ok(None),
            _ if text.contains('\0') => Err(InvalidInput::NameHasNul),
            _ => Ok(Some(text.clone())),
        };
        match (LockName::new(text.as_str()), expected) {
            (Ok(name), Ok(Some(same))) => {
                prop_assert_eq!(name.as_bytes(), same.as_bytes());
                prop_assert_eq!(name.to_string(), same.clone());
                prop_assert_eq!(same.parse::<LockName>().unwrap(), name);
            }
            (Err(InvalidInput::NameTooLong { bytes, .. }), Ok(None)) => prop_assert_eq!(bytes, text.len()),
            (Err(error), Err(same)) => prop_assert_eq!(error, same),
            (got, expected) => prop_assert!(false, "{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn label_is_taken_as_it_is_or_refused(text in text()) {
        let fits = (1..=255).contains(&text.len());
        let clean = !text.chars().any(char::is_control);
        match Label::new(text.as_str()) {
            Ok(label) => prop_assert!(fits && clean && label.as_str() == text),
            Err(InvalidInput::LabelEmpty) => prop_assert!(text.is_empty()),
            Err(InvalidInput::LabelTooLong { bytes, .. }) => prop_assert!(bytes == text.len() && bytes > 255),
            Err(InvalidInput::LabelHasControl) => prop_assert!(fits && !clean),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn different_bytes_are_different_locks(texts in btree_set(text(), 2..6)) {
        in_virtual_time(async {
            let (one, other) = (MemoryStore::new(), MemoryStore::new());
            let locker = Locker::new(one.clone());
            let second = Locker::new(one);
            drop(other);
            let mut held = Vec::new();
            for text in texts {
                match locker.try_lock(LockOptions::new(text.as_str())).await {
                    Ok(lock) => {
                        assert!(second.try_lock(LockOptions::new(text)).await.unwrap_err().is_held());
                        held.push(lock);
                    }
                    Err(error) => assert!(LockName::new(text).is_err(), "{error}"),
                }
            }
            let listed = second.list("").await.unwrap();
            let names: BTreeSet<_> = held.iter().map(|lock| lock.name().as_bytes().to_vec()).collect();
            assert_eq!(names.len(), held.len());
            assert_eq!(listed.len(), held.len());
        });
    }

    #[test]
    fn options_are_refused_before_any_request_or_work(
        name in text(),
        label in prop::option::of(text()),
        at_least in duration(),
        at_most in prop::option::of(duration()),
        wait in prop::option::of(duration()),
        auto_renew in any::<bool>(),
    ) {
        in_virtual_time(async move {
            let store = Scripted::new();
            let locker = Locker::new(store.clone());
            let mut options = LockOptions::new(name.as_str()).lock_at_least(at_least).auto_renew(auto_renew);
            let lease = at_most.unwrap_or(LockOptions::DEFAULT_LOCK_AT_MOST);
            if let Some(label) = &label {
                options = options.lock_by(label.as_str());
            }
            if let Some(at_most) = at_most {
                options = options.lock_at_most(at_most);
            }
            if let Some(wait) = wait {
                options = options.wait(wait);
            }
            let valid = LockName::new(name).is_ok()
                && label.is_none_or(|label| Label::new(label).is_ok())
                && (LockOptions::MIN_LEASE..=LockOptions::MAX_LEASE).contains(&lease)
                && at_least <= lease;
            match locker.lock(options).await {
                Ok(lock) => {
                    assert!(valid);
                    assert!(lock.remaining() <= lease);
                    lock.unlock().await.unwrap();
                }
                Err(golock_core::Error::Invalid(_)) => {
                    assert!(!valid);
                    assert_eq!(store.total(), 0);
                }
                Err(other) => panic!("{other}"),
            }
        });
    }

    #[test]
    fn token_never_decreases_and_never_exceeds_its_limit(
        last in prop::option::of(any::<i64>()),
        micros in any::<u64>(),
        max in any::<i64>(),
    ) {
        let last = last.map(FencingToken::new);
        let now = Duration::from_micros(micros);
        match FencingToken::following(last, now, max) {
            Some(next) => {
                prop_assert!(last.is_none_or(|last| next > last));
                prop_assert!(i128::from(next.get()) >= i128::from(micros));
                prop_assert!(next.get() <= max);
                prop_assert_eq!(FencingToken::following(last, now, next.get()), Some(next), "no larger than needed");
            }
            None => {
                let needed = last.map_or(0, |last| i128::from(last.get()) + 1).max(i128::from(micros));
                prop_assert!(needed > i128::from(max));
            }
        }
    }

    #[test]
    fn tokens_of_a_name_grow_whatever_happens_to_its_row(steps in vec(0..5_u8, 1..20)) {
        in_virtual_time(async move {
            let store = MemoryStore::new();
            let (locker, name) = (Locker::new(store.clone()), LockName::new("job").unwrap());
            let mut last = FencingToken::new(i64::MIN);
            for step in steps {
                let lock = locker.lock(LockOptions::new("job").lock_at_most(secs(1))).await.unwrap();
                assert!(lock.token() > last);
                last = lock.token();
                // No server grants a name more than once a microsecond for long: its clock stays ahead.
                tokio::time::advance(Duration::from_micros(20)).await;
                match step {
                    0 => lock.unlock().await.unwrap(),
                    1 => drop(lock.lost().await),
                    2 => {
                        store.delete(&name);
                        drop(lock);
                    }
                    3 => last = locker.force_unlock("job").await.unwrap().unwrap(),
                    _ => {
                        lock.unlock().await.unwrap();
                        locker.purge(Duration::ZERO).await.unwrap();
                    }
                }
            }
        });
    }
}

fn duration() -> impl Strategy<Value = Duration> {
    let edges = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_micros(9_999),
        LockOptions::MIN_LEASE,
        secs(1),
        LockOptions::MAX_LEASE,
        LockOptions::MAX_LEASE + Duration::from_nanos(1),
        Duration::MAX,
    ];
    let uniform = (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos));
    proptest::prop_oneof![
        prop::sample::select(edges.to_vec()),
        (0..100_000_u64).prop_map(Duration::from_millis),
        uniform,
    ]
}

#[test]
fn token_at_the_limit_is_followed_by_none() {
    let token = FencingToken::new;
    assert_eq!(FencingToken::following(Some(token(i64::MAX)), Duration::ZERO, i64::MAX), None);
    assert_eq!(
        FencingToken::following(Some(token(i64::MAX - 1)), Duration::ZERO, i64::MAX),
        Some(token(i64::MAX))
    );
    assert_eq!(FencingToken::following(None, Duration::MAX, i64::MAX), None);
    let js = (1 << 53) - 1;
    assert_eq!(FencingToken::following(Some(token(js)), Duration::ZERO, js), None);
}

#[test]
fn what_others_wrote_into_a_row_is_read_as_far_as_it_can_be() {
    let label = |bytes: &[u8]| Label::read(bytes).to_string();
    assert_eq!(label("wörker".as_bytes()), "wörker");
    assert_eq!(label(b"w\xffrker"), "w\u{fffd}rker");
    for unreadable in [&b""[..], b"a\nb", &[b'a'; 256]] {
        assert_eq!(label(unreadable), "(unreadable)");
    }
    assert_eq!(LockName::read("jób".as_bytes()), LockName::new("jób").ok());
    for nobodys in [&b""[..], b"a\0b", b"\xff", &[b'a'; 256]] {
        assert_eq!(LockName::read(nobodys), None);
    }
    assert_eq!(GrantId::read(&[7; 16]), Some(GrantId::from_bytes([7; 16])));
    for nobodys in [&[][..], &[7; 15], &[7; 17]] {
        assert_eq!(GrantId::read(nobodys), None);
    }
}
