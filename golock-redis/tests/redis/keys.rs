//! Keys: lost all at once, under prefixes of any characters, kept until their time is over.

use std::time::Duration;

use golock_core::store::{ListRequest, LockStore, ReleaseAnswer, RenewRequest};
use golock_core::{FencingToken, LostReason};
use golock_redis::RedisStore;

use crate::own::Own;
use crate::{LONG, name, release, take};

pub(crate) async fn tokens_increase_over_flushall(server: &Own) {
    let store = RedisStore::connect(server.url()).await.unwrap();
    let (job, mut last) = (name("job"), FencingToken::new(0));
    for _ in 0..20 {
        let (id, token) = take(&store, &job).await;
        assert!(token > last, "{token} does not follow {last}");
        server.run(&["FLUSHALL"]).await;
        assert_eq!(release(&store, &job, id).await, ReleaseAnswer::NotYours(LostReason::RowGone));
        last = token;
    }
}

pub(crate) async fn prefixes_with_glob_characters_hold_only_their_own_names(server: &Own) {
    let prefixes = ["a*:", "ab:", "a?:", "a[b]:", "a\\*:", "{a}:", "a{:", "a:", "é:", "a\n:"];
    let mut stores = Vec::new();
    for prefix in prefixes {
        stores.push(RedisStore::builder().prefix(prefix).connect(server.url()).await.unwrap());
    }
    for (store, prefix) in stores.iter().zip(prefixes) {
        take(store, &name("job")).await;
        take(store, &name(prefix)).await;
    }
    for (store, prefix) in stores.iter().zip(prefixes) {
        let listed = store.list(&ListRequest::new("", 10)).await.unwrap();
        let mut expected = [prefix, "job"];
        expected.sort_unstable();
        let names: Vec<_> = listed.iter().map(|info| info.name.as_str()).collect();
        assert_eq!(names, expected, "under {prefix:?}");
        assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 0);
    }
}

pub(crate) async fn keys_outlive_their_leases_by_the_retention(server: &Own) {
    let retention = Duration::from_secs(100);
    let store = RedisStore::builder().token_retention(retention).connect(server.url()).await.unwrap();
    let job = name("job");
    let admin = server.admin().await;
    let lives =
        async || Duration::from_millis(admin.run(&["PTTL", "golock:job"]).await.unwrap().parse().unwrap());
    let about = |lives: Duration, expected: Duration| {
        assert!(lives <= expected && lives > expected - Duration::from_secs(30), "{lives:?} of {expected:?}");
    };
    let (id, token) = take(&store, &job).await;
    about(lives().await, retention + LONG);
    let renewal = RenewRequest::new(job.clone(), id, token, 3 * LONG);
    store.renew(&[renewal]).await.unwrap();
    about(lives().await, retention + 3 * LONG);
    release(&store, &job, id).await;
    about(lives().await, retention);
    // A token ahead of the clock is kept until the clock is there.
    let ahead = token.get() + 1_000_000_000;
    admin.run(&["HSET", "golock:job", "token", &ahead.to_string()]).await.unwrap();
    let (id, _) = take(&store, &job).await;
    about(lives().await, retention + Duration::from_secs(1_000));
    release(&store, &job, id).await;
    assert_eq!(store.purge(Duration::ZERO).await.unwrap(), 0, "the token is ahead of the clock");
}
