//! Clocks that can be set: libfaketime, preloaded into a process, tells it a time of day that is off by what a file says.
//!
//! Its monotonic clocks go on as they were, as they do when somebody sets the clock of a real machine.

use std::path::PathBuf;
use std::{env, fs, io, process};

use crate::context::unique;

/// The step of a clock, in seconds, that the suite makes.
pub(crate) const HOUR: i64 = 3_600;

/// Where libfaketime is: as `GOLOCK_TEST_LIBFAKETIME` says, else where systems install it.
///
/// # Errors
/// That it is not there.
pub(crate) fn library() -> Result<PathBuf, &'static str> {
    let named = env::var_os("GOLOCK_TEST_LIBFAKETIME").map(PathBuf::from);
    let places = PLACES.iter().map(|place| PathBuf::from(place.replace("{arch}", env::consts::ARCH)));
    named
        .into_iter()
        .chain(places)
        .find(|path| path.is_file())
        .ok_or("libfaketime is not on this machine (GOLOCK_TEST_LIBFAKETIME would name it)")
}

/// The variables by which a process reads its time of day from a file, and that at each look: every process sees a step at once.
pub(crate) fn environment(preload: &str, file: &str) -> [(&'static str, String); 4] {
    [
        ("LD_PRELOAD", preload.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
    ]
}

/// What the file says of a clock that is so many seconds ahead; behind, if they are negative.
pub(crate) fn setting(ahead: i64) -> String {
    format!("{ahead:+}\n")
}

/// How many seconds a clock that shows so many since 1970 is ahead of this process's own.
#[allow(clippy::disallowed_methods, reason = "a clock that was set is compared with one that was not")]
pub(crate) fn ahead(seconds_since_1970: i64) -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    seconds_since_1970 - i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

/// Whether a clock that is ahead by `seen` was set to `wanted`: nothing that takes long makes an hour.
pub(crate) fn follows(seen: i64, wanted: i64) -> bool {
    seen.abs_diff(wanted) < HOUR.unsigned_abs() / 4
}

/// The clock of a process of this machine. Its file is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct ProcessClock {
    library: PathBuf,
    file: PathBuf,
}

impl ProcessClock {
    /// A clock that is right, so far.
    pub(crate) fn new() -> io::Result<Self> {
        let library = library().map_err(io::Error::other)?;
        let file = env::temp_dir().join(format!("golock-clock-{}-{}", process::id(), unique()));
        let clock = Self { library, file };
        clock.set(0)?;
        Ok(clock)
    }

    /// What the process is to be started with.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        environment(&self.library.to_string_lossy(), &self.file.to_string_lossy())
    }

    /// Sets it so many seconds ahead.
    pub(crate) fn set(&self, ahead: i64) -> io::Result<()> {
        // In one step: the process must never read half of it.
        let new = self.file.with_extension("new");
        fs::write(&new, setting(ahead))?;
        fs::rename(new, &self.file)
    }
}

impl Drop for ProcessClock {
    fn drop(&mut self) {
        // A file in the place for such files harms nobody if it stays.
        let _ = fs::remove_file(&self.file);
    }
}

const PLACES: &[&str] = &[
    "/usr/lib/{arch}-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/libfaketime.so.1",
];
