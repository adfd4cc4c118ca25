//! Whatever a caller asks for, and each call of the store, is a span at debug level with what it is about.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use golock_core::{LockOptions, Locker, MemoryStore};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[tokio::test(start_paused = true)]
async fn operations_are_spans_with_lock_backend_and_token() {
    let spans = Spans::default();
    let _while = tracing::subscriber::set_default(spans.clone());
    let locker = Locker::builder(MemoryStore::new()).group(|_| "reports").build();
    let lock = locker.try_lock(LockOptions::new("nightly")).await.unwrap();
    let token = lock.token();
    lock.extend(Duration::from_secs(60)).await.unwrap();
    lock.unlock().await.unwrap();
    locker.inspect("nightly").await.unwrap();
    locker.list("").await.unwrap();

    let about = format!(" backend=\"memory\" group=\"reports\" lock=\"nightly\" token={token}");
    for name in ["golock.lock", "golock.extend", "golock.unlock"] {
        spans.has(&format!("{name}{about}"));
    }
    spans.has("golock.operate backend=\"memory\" operation=\"inspect\" lock=\"nightly\"");
    spans.has("golock.operate backend=\"memory\" operation=\"list\"");
    for operation in ["acquire", "renew", "release", "inspect", "list"] {
        spans.has(&format!("golock.call backend=\"memory\" operation=\"{operation}\""));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_has_no_token() {
    let spans = Spans::default();
    let _while = tracing::subscriber::set_default(spans.clone());
    let locker = Locker::new(MemoryStore::new());
    let _lock = locker.try_lock(LockOptions::new("nightly")).await.unwrap();
    locker.try_lock(LockOptions::new("nightly")).await.unwrap_err();
    spans.has("golock.lock backend=\"memory\" group=\"all\" lock=\"nightly\"");
}

/// Remembers each span, with its fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, Line>>>);

impl Spans {
    #[track_caller]
    fn has(&self, line: &str) {
        let spans = self.0.lock().unwrap();
        assert!(spans.values().any(|Line(span)| span == line), "no span is\n{line}\nbut\n{spans:#?}");
    }
}

impl Subscriber for Spans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        assert_eq!(*span.metadata().level(), Level::DEBUG);
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        let mut spans = self.0.lock().unwrap();
        let id = spans.len() as u64 + 1;
        spans.insert(id, line);
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, more: &Record<'_>) {
        if let Some(line) = self.0.lock().unwrap().get_mut(&span.into_u64()) {
            more.record(line);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Debug)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}
