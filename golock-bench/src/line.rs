//! What the hand-written prototypes have in common: in one process, one task at a time asks the server for a name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// A line of tasks for each name, first come first served.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<String, Arc<Queue<()>>>>);

/// The head of a line, until it is dropped.
pub(crate) type Head = OwnedMutexGuard<()>;

impl Lines {
    /// Returns when it is this task's turn to ask for `name`.
    pub(crate) async fn head(&self, name: &str) -> Head {
        let queue = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match lines.get(name) {
                Some(queue) => Arc::clone(queue),
                None => Arc::clone(lines.entry(name.to_owned()).or_default()),
            }
        };
        queue.lock_owned().await
    }
}
