//! `golock watch`: a table that lives.

use std::io::{self, IsTerminal, Write};

use golock_core::Locker;
use golock_core::store::LockInfo;
use rustix::termios::tcgetwinsize;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Watch;
use crate::failure::Failure;
use crate::shown;
use crate::store::Store;

/// Shows the locks that are held, again and again, until it is interrupted.
///
/// # Errors
/// The store failed at the beginning. Later failures are shown.
pub(crate) async fn watch(store: &Store, arguments: &Watch) -> Result<u8, Failure> {
    let prefix = arguments.prefix.as_deref().unwrap_or_default();
    let mut locker = None;
    let mut locks = Ok(held(store, &mut locker, prefix).await?);
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut resized = signal(SignalKind::window_change())?;
    let screen = Screen::open(arguments.json)?;
    let mut left = arguments.count;
    while left != Some(0) {
        let has_table = locker.is_some();
        screen.show(&locks, store.backend(), has_table)?;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            break;
        }
        let next = async {
            tokio::select! {
                _ = resized.recv() => {}
                () = tokio::time::sleep(arguments.interval) => {}
            }
            held(store, &mut locker, prefix).await
        };
        locks = tokio::select! {
            biased;
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
            locks = next => locks,
        };
    }
    Ok(0)
}

/// The locks that are held; none until there is a table.
async fn held(store: &Store, locker: &mut Option<Locker>, prefix: &str) -> Result<Vec<LockInfo>, Failure> {
    if locker.is_none() {
        *locker = store.look().await?;
    }
    match locker {
        Some(locker) => Ok(locker.list(prefix).await?),
        None => Ok(Vec::new()),
    }
}

/// A terminal of which the whole screen is taken, or a file that lines are written to.
struct Screen {
    is_terminal: bool,
    json: bool,
}

const OTHER_SCREEN: &str = "\x1b[?1049h\x1b[?25l";
const FIRST_SCREEN: &str = "\x1b[?25h\x1b[?1049l";
const TO_THE_TOP: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

impl Screen {
    fn open(json: bool) -> io::Result<Self> {
        let screen = Self { is_terminal: io::stdout().is_terminal() && !json, json };
        if screen.is_terminal {
            write(OTHER_SCREEN)?;
        }
        Ok(screen)
    }

    fn show(
        &self,
        locks: &Result<Vec<LockInfo>, Failure>,
        backend: &str,
        has_table: bool,
    ) -> Result<(), Failure> {
        if self.json {
            let line = match locks {
                Ok(locks) => Value::from_iter(locks.iter().map(shown::as_json)),
                Err(failure) => serde_json::json!({ "error": failure.to_string() }),
            };
            return Ok(write(&format!("{line}\n"))?);
        }
        let text = match locks {
            Ok(_) if !has_table => format!("no lock is held on {backend}: it has no table of them yet"),
            Ok(locks) if locks.is_empty() => format!("no lock is held on {backend}"),
            Ok(locks) => {
                let locks_are = if locks.len() == 1 { "lock is" } else { "locks are" };
                format!("{} {locks_are} held on {backend}\n\n{}", locks.len(), shown::table(locks))
            }
            Err(failure) => shown::printable(&failure.to_string()),
        };
        if !self.is_terminal {
            return Ok(write(&format!("{text}\n\n"))?);
        }
        let (rows, columns) = match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
            // Many a terminal that a program made has no size.
            _ => (24, 80),
        };
        Ok(write(&frame(&text, rows.into(), columns.into()))?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            // The terminal may be gone.
            let _ = write(FIRST_SCREEN);
        }
    }
}

/// What draws the text over whatever the screen shows, without flicker; what does not fit is left out.
fn frame(text: &str, rows: usize, columns: usize) -> String {
    let lines: Vec<String> =
        text.lines().take(rows).map(|line| line.chars().take(columns).collect::<String>()).collect();
    let ends = format!("{REST_OF_LINE}\r\n");
    format!("{TO_THE_TOP}{}{REST_OF_LINE}{REST_OF_SCREEN}", lines.join(&ends))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::frame;

    #[test]
    fn a_frame_fits_the_screen() {
        let drawn = frame("abc\nd\ne", 2, 2);
        assert_eq!(drawn, "\x1b[Hab\x1b[K\r\nd\x1b[K\x1b[J");
    }
}
