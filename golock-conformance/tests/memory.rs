//! The whole suite over the store in memory: the suite proves itself, and so does the reference of the contract.

#![allow(clippy::unwrap_used, reason = "a poisoned mutex is a failed test")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use golock_conformance::{Abilities, BoxError, Damage, Fixture, Target, async_trait};
use golock_core::{FencingToken, LockName, LockStore, MemoryStore};

fn main() -> ExitCode {
    golock_conformance::main(vec![Target::new(Memory::default())])
}

#[derive(Default)]
struct Memory {
    spaces: Mutex<BTreeMap<String, MemoryStore>>,
}

impl Memory {
    fn space(&self, space: &str) -> MemoryStore {
        self.spaces.lock().unwrap().entry(space.to_owned()).or_default().clone()
    }
}

#[async_trait]
impl Fixture for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(self.space(space)))
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities { damage: Ok(self), purge_counts: Ok(()), ..Abilities::none("memory has no server") }
    }
}

#[async_trait]
impl Damage for Memory {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.space(space).delete(name);
        Ok(())
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.space(space).clear();
        Ok(())
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        self.space(space).set_token(name, token);
        Ok(())
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        self.spaces.lock().unwrap().remove(space);
        Ok(())
    }
}
