//! Listens for a password in everything that is shown: errors with all of their sources, Debug, and every record that the
//! process logs, by `tracing` or by `log`, at any level.

use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use golock_core::{LockOptions, Locker};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::proxy::{Direction, Proxy};

/// A password that must not be shown.
#[derive(Clone, Copy)]
pub struct Secret(&'static str);

impl Secret {
    /// Listens for `secret` from now on, in all logs of this process. It should be a word that nobody else uses, of letters
    /// and digits, so that no quoting hides it.
    ///
    /// # Panics
    /// If the logs can't be listened to: another subscriber or logger was installed first.
    pub fn new(secret: &'static str) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let is_first = tracing::subscriber::set_global_default(Ears).is_ok();
            assert!(is_first && log::set_logger(&Ears).is_ok(), "somebody else listens to the logs");
            log::set_max_level(log::LevelFilter::Trace);
        });
        heard().wanted.push(secret);
        // Whoever hears nothing at all would be content with everything.
        tracing::trace!(secret, "to be heard");
        log::trace!("{secret} to be heard");
        let mut heard = heard();
        let shown = heard.shown.len();
        // Another test may be here with a secret of its own.
        heard.shown.retain(|line| !line.contains(secret));
        assert!(shown - heard.shown.len() >= 2, "the logs are not listened to");
        Self(secret)
    }

    /// The password itself, to connect with.
    pub fn reveal(self) -> &'static str {
        self.0
    }

    /// It is not in the Debug of this.
    ///
    /// # Panics
    /// If it is.
    #[track_caller]
    pub fn is_not_in(self, what: &str, shown: &(impl Debug + ?Sized)) {
        self.is_not_said(what, &format!("{shown:?} {shown:#?}"));
    }

    /// It is in no way in which this error can be printed, nor its sources.
    ///
    /// # Panics
    /// If it is.
    #[track_caller]
    pub fn is_not_in_error(self, what: &str, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.is_not_said(what, &format!("{error} {error:#} {error:?} {error:#?}"));
            next = error.source();
        }
    }

    /// It is in none of the records that were logged so far.
    ///
    /// # Panics
    /// If it is, or if nothing was logged, which would prove nothing.
    #[track_caller]
    pub fn is_not_in_the_logs(self) {
        let heard = heard();
        let shown: Vec<_> = heard.shown.iter().filter(|line| line.contains(self.0)).collect();
        assert!(shown.is_empty(), "a password was logged: {shown:#?}");
        assert!(heard.records > 0, "nothing was logged");
    }

    /// It is in nothing that a locker says, a lock, and their calls when they fail: unanswered, cut off, closed. `locker` works
    /// through `proxy`; `kill` ends its connections at the server.
    ///
    /// # Panics
    /// If it is, or if a call does not fail that should.
    pub async fn is_not_in_failures(self, locker: Locker, proxy: Proxy, kill: impl Future<Output = ()>) {
        self.is_not_in("a locker", &locker);
        let held = LockOptions::new("held").auto_renew(true);
        let lock = locker.try_lock(held).await.unwrap_or_else(|error| panic!("nobody holds it: {error}"));
        self.is_not_in("a lock", &lock);
        proxy.hold(Direction::ToClient);
        self.is_not_in_refusal("a timeout", &locker).await;
        proxy.let_go(Direction::ToClient);
        kill.await;
        proxy.reset_all();
        proxy.hold(Direction::ToServer);
        self.is_not_in_refusal("a killed connection", &locker).await;
        drop(proxy);
        let _ = lock.unlock().await.map_err(|error| self.is_not_in_error("an unlock", &error));
        locker.shutdown(Duration::ZERO).await;
        self.is_not_in_refusal("a closed locker", &locker).await;
    }

    async fn is_not_in_refusal(self, what: &str, locker: &Locker) {
        match locker.try_lock(LockOptions::new(what)).await {
            Ok(lock) => panic!("{what}: {lock:?}"),
            Err(error) => self.is_not_in_error(what, &error),
        }
    }

    #[track_caller]
    fn is_not_said(self, what: &str, said: &str) {
        assert!(!said.contains(self.0), "{what}: a password is shown: {said}");
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

struct Heard {
    wanted: Vec<&'static str>,
    shown: Vec<String>,
    records: usize,
}

static HEARD: Mutex<Heard> = Mutex::new(Heard { wanted: Vec::new(), shown: Vec::new(), records: 0 });

fn heard() -> MutexGuard<'static, Heard> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hear(line: String) {
    let mut heard = heard();
    heard.records += 1;
    if heard.wanted.iter().any(|secret| line.contains(secret)) {
        heard.shown.push(line);
    }
}

struct Ears;

impl Subscriber for Ears {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        hear(line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        hear(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        hear(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Ears {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        hear(format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String does not fail.
        let _ = write!(self.0, " {field}={value:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    #[should_panic(expected = "a password is shown")]
    fn a_password_in_an_error_is_noticed() {
        let error = std::io::Error::other("nobody is called Kx7vInAnError");
        Secret::new("Kx7vInAnError").is_not_in_error("an error", &error);
    }

    #[test]
    #[should_panic(expected = "a password was logged")]
    fn a_password_in_the_logs_is_noticed() {
        let secret = Secret::new("Kx7vInTheLogs");
        secret.is_not_in("another word", &"another word");
        tracing::debug!(url = %format!("redis://user:{}@host", secret.reveal()), "connecting");
        secret.is_not_in_the_logs();
    }
}
