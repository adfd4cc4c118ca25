//! Prefixes and names that are more than that. A key that nobody should touch stands by.

use std::sync::Arc;

use golock_conformance::security::{
    Guarded, Opening, hostile, mean_exactly_themselves, names_mean_exactly_themselves,
};
use golock_core::LockStore;
use golock_redis::RedisStore;

use super::{root, run};

/// What none of the hostile prefixes contains: behind each it sees to it that none is the beginning of another, for of such
/// prefixes it is said that they may share keys.
const END: &str = "~";

pub(crate) async fn prefixes_mean_exactly_themselves_or_are_refused(server: Arc<Guarded>) {
    run(&server, &["SET", "canary", "alive"]).await;
    let client = root(&server);
    let open = move |prefix: String| -> Opening {
        let client = client.clone();
        Box::pin(async move {
            let store = RedisStore::builder().prefix(prefix + END).build(&client)?;
            store.ready().await?;
            Ok(Arc::new(store) as Arc<dyn LockStore>)
        })
    };
    let open_nowhere = |prefix: String| -> Opening {
        let builder = RedisStore::builder().prefix(prefix + END);
        Box::pin(
            async move { Ok(Arc::new(builder.connect("redis://127.0.0.1:1").await?) as Arc<dyn LockStore>) },
        )
    };
    assert!(hostile().iter().all(|prefix| !prefix.contains(END)));
    mean_exactly_themselves(&hostile(), open, open_nowhere).await;
    assert_eq!(run(&server, &["GET", "canary"]).await.into_string().as_deref(), Some("alive"));
}

pub(crate) async fn names_of_locks_mean_exactly_themselves(server: Arc<Guarded>) {
    let store = RedisStore::builder().prefix("names~").build(&root(&server)).unwrap();
    names_mean_exactly_themselves(&store, &hostile()).await;
}
