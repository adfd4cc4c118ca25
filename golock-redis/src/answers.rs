//! From what scripts answer to answers.

use std::time::Duration;

use fred::error::{Error as DriverError, ErrorKind};
use fred::types::Value;
use golock_core::backend::from_micros;
use golock_core::store::{
    AcquireAnswer, HandOverAnswer, LockInfo, Operation, ReleaseAnswer, RenewAnswer, StoreError,
    StoreErrorKind,
};
use golock_core::{FencingToken, Holder, Label, LockName};

use crate::error::failure;

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

    pub(crate) fn acquired(&self) -> Result<AcquireAnswer, StoreError> {
        let doing = Operation::Acquire;
        match &*self.word {
            "granted" => Ok(AcquireAnswer::granted(self.token(doing, 0)?, self.time(doing, 1)?)),
            "held" => Ok(AcquireAnswer::Held(self.holder(doing)?)),
            "raced" => Ok(AcquireAnswer::Raced),
            _ => Err(self.unexpected(doing)),
        }
    }

    /// The end of the lease of a grant, by the server's clock.
    pub(crate) fn granted_until(&self) -> Option<i64> {
        let remaining = self.rest.get(1).filter(|_| self.word == "granted").and_then(Value::as_i64)?;
        Some(self.server_time.saturating_add(remaining))
    }

    pub(crate) fn renewed(&self) -> Result<RenewAnswer, StoreError> {
        let doing = Operation::Renew;
        RenewAnswer::from_outcome(&self.word, self.time(doing, 0).ok()).ok_or_else(|| self.unexpected(doing))
    }

    pub(crate) fn released(&self) -> Result<ReleaseAnswer, StoreError> {
        ReleaseAnswer::from_outcome(&self.word).ok_or_else(|| self.unexpected(Operation::Release))
    }

    pub(crate) fn handed_over(&self) -> Result<HandOverAnswer, StoreError> {
        let doing = Operation::HandOver;
        let next = match self.rest.first().and_then(Value::as_string).as_deref() {
            Some("granted") => AcquireAnswer::granted(self.token(doing, 1)?, self.time(doing, 2)?),
            _ => AcquireAnswer::Raced,
        };
        Ok(HandOverAnswer::new(self.released()?, next))
    }

    /// The new token; `None`: nobody held the name.
    pub(crate) fn fenced(&self, operation: Operation) -> Result<Option<FencingToken>, StoreError> {
        match &*self.word {
            "fenced" => self.token(operation, 0).map(Some),
            "free" => Ok(None),
            _ => Err(self.unexpected(operation)),
        }
    }

    pub(crate) fn inspected(
        &self,
        operation: Operation,
        name: LockName,
    ) -> Result<Option<LockInfo>, StoreError> {
        match &*self.word {
            "held" => Ok(Some(LockInfo::new(name, self.holder(operation)?, false))),
            "kept" => Ok(Some(LockInfo::new(name, self.holder(operation)?, true))),
            "free" => Ok(None),
            _ => Err(self.unexpected(operation)),
        }
    }

    fn holder(&self, operation: Operation) -> Result<Holder, StoreError> {
        let label = self.rest.first().and_then(Value::as_bytes).map(Label::read);
        let label = label.ok_or_else(|| self.unexpected(operation))?;
        Ok(Holder::new(label, self.time(operation, 1)?, self.time(operation, 2)?, self.token(operation, 3)?))
    }

    fn token(&self, operation: Operation, at: usize) -> Result<FencingToken, StoreError> {
        self.number(operation, at).map(FencingToken::new)
    }

    fn time(&self, operation: Operation, at: usize) -> Result<Duration, StoreError> {
        self.number(operation, at).map(from_micros)
    }

    fn number(&self, operation: Operation, at: usize) -> Result<i64, StoreError> {
        self.rest.get(at).and_then(Value::as_i64).ok_or_else(|| self.unexpected(operation))
    }

    fn unexpected(&self, operation: Operation) -> StoreError {
        let why = format!("an answer that golock's scripts don't give: {}", self.word);
        failure(operation, StoreErrorKind::Other, why)
    }
}
