//! The whole suite over a stranger's store: this fixture is all it takes.
#![allow(clippy::expect_used, reason = "without a directory there is nothing to test")]

use std::process::ExitCode;
use std::sync::Arc;

use custom_store::DirStore;
use golock_conformance::{Abilities, BoxError, Fixture, Target, async_trait};
use golock_core::LockStore;
use tempfile::TempDir;

struct Dirs(TempDir);

#[async_trait]
impl Fixture for Dirs {
    fn name(&self) -> &str {
        "dir"
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(DirStore::open(self.0.path().join(space))?))
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities {
            purge_counts: Ok(()),
            ..Abilities::none("a directory has no server to damage, restart or reach by TCP")
        }
    }
}

fn main() -> ExitCode {
    golock_conformance::main(vec![Target::new(Dirs(TempDir::new().expect("a temporary directory")))])
}
