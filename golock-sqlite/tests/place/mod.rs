//! A directory for the files of one run, removed at its end.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process;

pub(crate) struct Place(PathBuf);

impl Place {
    /// No other run and no other test of this one uses it.
    pub(crate) fn new(what: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{what}-{}", process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether this user may write even to a file that nobody may write to, as root may.
    pub(crate) fn writes_whatever_it_likes(&self) -> bool {
        let file = self.file("read-only");
        fs::write(&file, []).unwrap();
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        OpenOptions::new().write(true).open(&file).is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left over harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
