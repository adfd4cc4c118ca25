//! Records the events that the engine emits on this thread.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    /// What this thread's test has been told, one line an event; `None`: it does not ask.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Records as long as it lives.
pub(crate) struct Events(());

impl Events {
    pub(crate) fn record() -> Self {
        // One for all threads: where only one of them has a subscriber, tracing may ask another thread's, which has
        // none, whether an event is of interest, and remember the answer for all.
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Recorder).unwrap());
        // Another thread may have asked just before.
        tracing::callsite::rebuild_interest_cache();
        LINES.set(Some(Vec::new()));
        Self(())
    }

    /// How many events contain this text.
    pub(crate) fn with(&self, text: &str) -> usize {
        LINES.with_borrow(|lines| lines.iter().flatten().filter(|line| line.contains(text)).count())
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        LINES.with_borrow_mut(|lines| {
            let Some(lines) = lines else { return };
            let mut line = Line(format!("{}", event.metadata().level()));
            event.record(&mut line);
            lines.push(line.0);
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}
