//! Grants of this very locker: while one of them has a name, or gives it back, the line of that name need not ask the store.

use super::keeper::Keeper;
use crate::{GrantId, LockName};

/// What a grant of this very locker does with a name.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Local {
    Holds(GrantId),
    GivesBack(GrantId),
}

impl Keeper {
    /// The local grant of a name gives it back: those in line wait for that. If it was lost before, those that were in line by then do
    /// not, and who gets in line from here on does.
    pub(super) fn local_gives_back(&mut self, name: &LockName, grant: GrantId) {
        match self.locals.get_mut(name) {
            Some(local) if *local == Local::Holds(grant) => *local = Local::GivesBack(grant),
            None if !self.lines.contains_key(name) => {
                self.locals.insert(name.clone(), Local::GivesBack(grant));
            }
            _ => {}
        }
    }

    /// The local grant of a name has ended. `false`: it had not stood in the way.
    pub(super) fn local_gone(&mut self, name: &LockName, grant: GrantId) -> bool {
        let gone = [Local::Holds(grant), Local::GivesBack(grant)];
        if !self.locals.get(name).is_some_and(|local| gone.contains(local)) {
            return false;
        }
        self.locals.remove(name);
        self.advance(name);
        true
    }
}
