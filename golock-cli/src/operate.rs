//! What operators do: see who holds what, take it away, clean up.

use std::io::{self, IsTerminal, Write};

use golock_core::{FencingToken, LockName, Locker};
use serde_json::{Value, json};

use crate::arguments::{Ls, Named, Purge, Schema, Unlock};
use crate::failure::{Failure, NEGATIVE};
use crate::say;
use crate::shown;
use crate::store::{IfMissing, Store};

/// Lists the locks that are held.
///
/// # Errors
/// The store failed, as in every function here.
pub(crate) async fn ls(store: &Store, arguments: &Ls) -> Result<u8, Failure> {
    let locks = match look(store).await? {
        Some(locker) => locker.list(arguments.prefix.as_deref().unwrap_or_default()).await?,
        None => Vec::new(),
    };
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", Value::from_iter(locks.iter().map(shown::as_json)))?;
    } else if !locks.is_empty() {
        writeln!(out, "{}", shown::table(&locks))?;
    }
    Ok(0)
}

/// Shows one lock.
pub(crate) async fn show(store: &Store, arguments: &Named) -> Result<u8, Failure> {
    let name = LockName::new(&*arguments.name)?;
    let found = match look(store).await? {
        Some(locker) => locker.inspect(name).await?,
        None => None,
    };
    let mut out = io::stdout().lock();
    match (&found, arguments.json) {
        (Some(lock), true) => writeln!(out, "{}", shown::as_json(lock))?,
        (None, true) => writeln!(out, "{}", json!({ "name": arguments.name, "held": false }))?,
        (Some(lock), false) => writeln!(out, "{}", shown::in_full(lock))?,
        (None, false) => writeln!(out, "{} is free", shown::printable(&arguments.name))?,
    }
    Ok(if found.is_some() { 0 } else { NEGATIVE })
}

/// `None`: there is no table, and so no lock. Whoever has named a table or a store is told, for it may be a slip, or one that this user
/// can't see.
async fn look(store: &Store) -> Result<Option<Locker>, Failure> {
    let locker = store.look().await?;
    match (&locker, store.table()) {
        (None, Some(table)) => say(&format!("there is no table {table:?} yet, and so no lock")),
        (None, None) if !store.is_own() => {
            say("there is no table of golock's here, or none that this user can see, and so no lock");
        }
        _ => {}
    }
    Ok(locker)
}

/// Takes a lock from its holder when its lease has run out.
pub(crate) async fn revoke(store: &Store, arguments: &Named) -> Result<u8, Failure> {
    let token = store.connect(IfMissing::Tell).await?.revoke(&arguments.name).await?;
    let what = "is revoked: its holder can't renew it, and nobody else gets it before its lease has run out";
    tell(&arguments.name, token, arguments.json, what)
}

/// Frees a lock at once.
pub(crate) async fn unlock(store: &Store, arguments: &Unlock) -> Result<u8, Failure> {
    let locker = store.connect(IfMissing::Tell).await?;
    if !arguments.yes {
        let Some(held) = locker.inspect(&arguments.name).await? else {
            return tell(&arguments.name, None, arguments.json, "");
        };
        if !io::stdin().is_terminal() {
            return Err(Failure::usage("nobody is there to ask: say --yes too"));
        }
        eprint(&format!(
            "{}\nIts holder may still be at work, and finds out at its next renewal. \
             Free it all the same? [y/N] ",
            shown::in_full(&held)
        ))?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::new(NEGATIVE, "nothing was done"));
        }
        // Who has agreed to the end of one holder has not agreed to that of the next.
        match locker.inspect(&arguments.name).await? {
            None => return tell(&arguments.name, None, arguments.json, ""),
            Some(now) if now.token != held.token => {
                return Err(Failure::new(
                    NEGATIVE,
                    "it was granted anew or revoked meanwhile: nothing was done",
                ));
            }
            Some(_) => {}
        }
    }
    let token = locker.force_unlock(&arguments.name).await?;
    let what = "is free: its former holder finds out at its next renewal, and its token is fenced now";
    tell(&arguments.name, token, arguments.json, what)
}

/// Deletes what is known of names that have long been free.
pub(crate) async fn purge(store: &Store, arguments: &Purge) -> Result<u8, Failure> {
    let purged = store.connect(IfMissing::Tell).await?.purge(arguments.older_than).await?;
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", json!({ "purged": purged }))?;
    } else {
        writeln!(out, "{purged} names forgotten; their tokens will go on growing")?;
    }
    Ok(0)
}

/// Prints what an administrator runs to prepare the store.
pub(crate) async fn schema(store: &Store, arguments: &Schema) -> Result<u8, Failure> {
    let (backend, schema) = store.schema()?;
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", json!({ "backend": backend, "schema": schema }))?;
    } else {
        writeln!(out, "{}", schema.trim_end())?;
    }
    Ok(0)
}

fn tell(name: &str, token: Option<FencingToken>, json: bool, what: &str) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    match token {
        _ if json => {
            let token = token.map(FencingToken::get);
            writeln!(out, "{}", json!({ "name": name, "held": token.is_some(), "token": token }))?;
        }
        Some(token) => writeln!(
            out,
            "{} {what}. The token is now {token}: tell it to the resource that checks tokens",
            shown::printable(name)
        )?,
        None => writeln!(out, "{} is free: there was nothing to do", shown::printable(name))?,
    }
    Ok(if token.is_some() { 0 } else { NEGATIVE })
}

fn eprint(text: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    err.write_all(text.as_bytes())?;
    err.flush()
}
