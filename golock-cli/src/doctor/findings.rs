//! What was found, how bad it is, and what to do.

use std::fmt;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::shown::printable;

/// Everything that was found, in the order in which it was looked for.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    level: Level,
    /// What was looked at.
    what: String,
    found: String,
    advice: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Good,
    /// Worth to know.
    Note,
    /// Locks are safe, but not in every case that one would expect.
    Warning,
    /// Locks are not safe, or can't be had.
    Fault,
}

impl Findings {
    pub(crate) fn good(&mut self, what: impl Into<String>, found: impl Into<String>) {
        self.add(Level::Good, what, found, None);
    }

    pub(crate) fn note(&mut self, what: impl Into<String>, found: impl Into<String>, advice: &str) {
        self.add(Level::Note, what, found, Some(advice));
    }

    pub(crate) fn warning(&mut self, what: impl Into<String>, found: impl Into<String>, advice: &str) {
        self.add(Level::Warning, what, found, Some(advice));
    }

    pub(crate) fn fault(&mut self, what: impl Into<String>, found: impl Into<String>, advice: &str) {
        self.add(Level::Fault, what, found, Some(advice));
    }

    pub(crate) fn has_fault(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Fault)
    }

    pub(crate) fn print(&self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            return writeln!(out, "{}", Value::from_iter(self.0.iter().map(Finding::as_json)));
        }
        let width = self.0.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
        for Finding { level, what, found, advice } in &self.0 {
            writeln!(out, "{level:<8} {what:width$}  {}", printable(found))?;
            if let Some(advice) = advice {
                writeln!(out, "{:8} {:width$}  → {advice}", "", "")?;
            }
        }
        Ok(())
    }

    fn add(&mut self, level: Level, what: impl Into<String>, found: impl Into<String>, advice: Option<&str>) {
        // A server's words may have lines.
        let found = found.into().replace(['\n', '\r'], " ");
        self.0.push(Finding { level, what: what.into(), found, advice: advice.map(str::to_owned) });
    }
}

impl Finding {
    fn as_json(&self) -> Value {
        json!({
            "level": self.level.to_string(),
            "what": self.what,
            "found": self.found,
            "advice": self.advice,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "FAULT",
        })
    }
}
