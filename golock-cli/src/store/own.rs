//! The file of this user's own, for who names no store.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::failure::{CONFIGURATION, Failure};

/// `golock`, in the user's state directory.
///
/// # Errors
/// The user has none.
pub(super) fn directory() -> Result<PathBuf, Failure> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(absolute);
    let home = || env::home_dir().filter(absolute).map(|home| home.join(".local/state"));
    let Some(state) = state.or_else(home) else {
        return Err(Failure::usage("no --store is named, and this user has no home directory for one"));
    };
    Ok(state.join("golock"))
}

/// The URL of the file in that directory.
///
/// # Errors
/// The path can't be written in a URL.
pub(super) fn url(directory: &Path) -> Result<String, Failure> {
    let file = directory.join("locks.db");
    match file.to_str() {
        Some(file) => Ok(format!("sqlite://{}", encoded(file))),
        None => Err(Failure::usage(format!("{} is no path in UTF-8: name a --store", file.display()))),
    }
}

/// Makes the directory, unless it is there.
///
/// # Errors
/// It can't be made.
pub(super) fn make(directory: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        Failure::new(CONFIGURATION, format!("no directory {} for the store: {error}", directory.display()))
    })
}

/// A path in a URL.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn paths_are_encoded() {
        assert_eq!(encoded("/home/a b/?#%"), "/home/a%20b/%3F%23%25");
    }
}
