//! From what scripts answer to answers.

use fred::error::{Error as DriverError, ErrorKind};
use fred::types::Value;
use golock_core::backend::{Verdict, from_micros};
use golock_core::store::{Operation, StoreError, StoreErrorKind};
use golock_core::{FencingToken, Label};

use crate::error::{BACKEND, failure};

/// What a script answered: the server's time, a word, and what belongs to it.
pub(crate) struct Reply {
    server_time: i64,
    word: String,
    rest: Vec<Value>,
}

impl Reply {
    pub(crate) fn new(value: Value) -> Result<Self, DriverError> {
        let mut values = value.into_array().into_iter();
        let (time, word) = (values.next(), values.next());
        match (time.and_then(|time| time.as_i64()), word.and_then(|word| word.as_string())) {
            (Some(_), Some(word)) if word == "failed" => {
                let why = values.next().and_then(|why| why.into_string());
                Err(DriverError::new(ErrorKind::Unknown, why.unwrap_or(word)))
            }
            (Some(server_time), Some(word)) => Ok(Self { server_time, word, rest: values.collect() }),
            _ => Err(DriverError::new(ErrorKind::Parse, "an answer that golock's scripts don't give")),
        }
    }

    /// What the server's clock showed, in µs since 1970.
    pub(crate) fn server_time(&self) -> i64 {
        self.server_time
    }

    pub(crate) fn word(&self) -> &str {
        &self.word
    }

    /// It reached the server after its time: nothing was done.
    pub(crate) fn is_late(&self) -> bool {
        self.word == "late"
    }

    /// Itself, or why nothing was done.
    pub(crate) fn unless_refused(self, operation: Operation) -> Result<Self, StoreError> {
        match &*self.word {
            "late" => {
                let why = "the request reached the server after its time, and was not executed";
                Err(failure(operation, StoreErrorKind::Unavailable, why))
            }
            "exhausted" => {
                let why = "there is no larger token that a script's numbers can keep exactly";
                Err(failure(operation, StoreErrorKind::TokenExhausted, why))
            }
            _ => Ok(self),
        }
    }

    /// The end of the lease of a grant, by the server's clock.
    pub(crate) fn granted_until(&self) -> Option<i64> {
        let remaining = self.number(1).filter(|_| self.word == "granted")?;
        Some(self.server_time.saturating_add(remaining))
    }

    pub(crate) fn verdict(&self, operation: Operation) -> Verdict {
        Verdict {
            token: self.number(0).map(FencingToken::new),
            remaining: self.number(1).map(from_micros),
            held_for: self.number(2).map(from_micros),
            lock_by: self.rest.get(3).and_then(Value::as_bytes).map(Label::read),
            ..Verdict::new(BACKEND, operation, &*self.word)
        }
    }

    fn number(&self, at: usize) -> Option<i64> {
        self.rest.get(at).and_then(Value::as_i64)
    }
}
