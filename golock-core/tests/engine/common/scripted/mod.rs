//! A store whose network fails as a test says: requests and answers are delayed, lost, or wrong. What arrives is
//! done by the `MemoryStore` behind it, also if the caller is long gone, as on a real server.

mod store;

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use golock_core::store::{Capabilities, Operation, Wakeup};
use golock_core::{GrantId, LockName, LockStore, MemoryStore, StoreError, StoreErrorKind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::fate::{Fate, Says};

/// Clones are the same store.
#[derive(Clone)]
pub(crate) struct Scripted<S = MemoryStore> {
    /// The server itself, for a test to look at.
    pub(crate) server: S,
    shared: Arc<Shared>,
}

/// One call as the engine made it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    pub(crate) at: Instant,
    pub(crate) names: Vec<LockName>,
    pub(crate) grants: Vec<GrantId>,
}

type Script = Box<dyn FnMut(&Call) -> Fate + Send>;

struct Shared {
    capabilities: Capabilities,
    began: Instant,
    state: Mutex<State>,
}

struct State {
    script: Script,
    calls: BTreeMap<&'static str, Vec<Call>>,
    log: Option<String>,
    under_way: usize,
    most_under_way: usize,
    ears: Vec<mpsc::UnboundedSender<Told>>,
    hears_itself: bool,
    opening: Opening,
    rows_are_locked: bool,
}

#[derive(Clone, Debug)]
enum Told {
    Event(Wakeup),
    End,
    Panic,
}

/// What becomes of the next listeners.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Opening {
    Works,
    /// There is none, whatever the capabilities say.
    Fails,
    Panics,
}

impl Scripted {
    /// Every call goes well.
    pub(crate) fn new() -> Self {
        Self::on(MemoryStore::starting_at(Duration::from_secs(1_700_000_000)))
    }
}

impl<S: LockStore + Clone> Scripted<S> {
    /// Another client of `server`, with a network of its own.
    pub(crate) fn on(server: S) -> Self {
        let capabilities = server.capabilities();
        Self::with(server, capabilities)
    }

    pub(crate) fn with(server: S, capabilities: Capabilities) -> Self {
        let state = State {
            script: Box::new(|_| Fate::FINE),
            calls: BTreeMap::new(),
            log: Some(String::new()),
            under_way: 0,
            most_under_way: 0,
            ears: Vec::new(),
            hears_itself: true,
            opening: Opening::Works,
            rows_are_locked: false,
        };
        Self {
            server,
            shared: Arc::new(Shared { capabilities, began: Instant::now(), state: Mutex::new(state) }),
        }
    }

    /// What becomes of each call from here on.
    pub(crate) fn script(&self, script: impl FnMut(&Call) -> Fate + Send + 'static) {
        self.state().script = Box::new(script);
    }

    /// What becomes of the calls of `operation` from here on: in turn `fates`, then all is well.
    pub(crate) fn script_for(&self, operation: Operation, fates: impl IntoIterator<Item = Fate>) {
        let mut fates = fates.into_iter().collect::<Vec<_>>().into_iter();
        self.script(move |call| match call.operation == operation {
            true => fates.next().unwrap_or(Fate::FINE),
            false => Fate::FINE,
        });
    }

    /// All calls of `operation` so far.
    pub(crate) fn calls(&self, operation: Operation) -> Vec<Call> {
        self.state().calls.get(operation.as_str()).cloned().unwrap_or_default()
    }

    pub(crate) fn count(&self, operation: Operation) -> usize {
        self.state().calls.get(operation.as_str()).map_or(0, Vec::len)
    }

    /// How many calls were made in all.
    pub(crate) fn total(&self) -> usize {
        self.state().calls.values().map(Vec::len).sum()
    }

    /// Each request, effect and answer so far, one a line, with its time.
    pub(crate) fn log(&self) -> String {
        self.state().log.clone().unwrap_or_default()
    }

    /// Keeps no log.
    pub(crate) fn keep_quiet(&self) {
        self.state().log = None;
    }

    pub(crate) fn most_under_way(&self) -> usize {
        self.state().most_under_way
    }

    /// No listener hears of what the server frees, only what [`tell`](Self::tell) says.
    pub(crate) fn plug_ears(&self) {
        self.state().hears_itself = false;
    }

    pub(crate) fn unplug_ears(&self) {
        self.state().hears_itself = true;
    }

    /// All listeners get an event.
    pub(crate) fn tell(&self, event: Wakeup) {
        self.tell_all(&Told::Event(event));
    }

    /// All listeners end.
    pub(crate) fn end_listeners(&self) {
        self.tell_all(&Told::End);
    }

    /// All listeners panic.
    pub(crate) fn panic_listeners(&self) {
        self.tell_all(&Told::Panic);
    }

    pub(crate) fn open_listeners_so(&self, opening: Opening) {
        self.state().opening = opening;
    }

    /// Whether renewals extend nothing, and say what remains.
    pub(crate) fn lock_rows(&self, locked: bool) {
        self.state().rows_are_locked = locked;
    }

    /// How many listeners are open.
    pub(crate) fn listeners(&self) -> usize {
        self.state().ears.iter().filter(|ear| !ear.is_closed()).count()
    }

    fn tell_all(&self, what: &Told) {
        self.state().ears.retain(|ear| ear.send(what.clone()).is_ok());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    fn note(&self, what: fmt::Arguments<'_>) {
        let at = self.shared.began.elapsed();
        if let Some(log) = &mut self.state().log {
            let _ = writeln!(log, "{at:?} {what}");
        }
    }

    fn error(&self, operation: Operation, kind: StoreErrorKind) -> StoreError {
        StoreError::new(self.shared.capabilities.backend, operation, kind, "as the script says")
    }

    /// Makes a call as its fate has it. `effect` is what the server does.
    async fn make<A, F, Fut>(
        &self,
        operation: Operation,
        items: Vec<(LockName, GrantId)>,
        effect: F,
    ) -> Result<Vec<A>, StoreError>
    where
        A: Clone + Debug + Send + 'static,
        F: FnOnce(S) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<A>, StoreError>> + Send,
    {
        let (began, number) = (Instant::now(), self.count(operation));
        let (names, grants): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let call = Call { operation, at: began, names, grants };
        let fate = (self.state().script)(&call);
        let what = match call.names.len() {
            _ if self.state().log.is_none() => String::new(),
            0..10 => format!("{operation} #{number} {:?} {:?}", call.names, call.grants),
            many => format!("{operation} #{number} of {many}"),
        };
        self.note(format_args!("{what} sent"));
        self.state().calls.entry(operation.as_str()).or_default().push(call);
        let _under_way = UnderWay::new(&self.shared);

        let (done, effect_of_it) = oneshot::channel();
        let run = {
            let (this, what) = (self.clone(), what.clone());
            async move {
                let outcome = effect(this.server.clone()).await;
                this.note(format_args!("{what} done: {}", brief(&outcome)));
                let _ = done.send(outcome);
            }
        };
        match fate.arrives {
            Some(Duration::ZERO) => run.await,
            Some(delay) => {
                tokio::spawn(async move {
                    sleep(delay).await;
                    run.await;
                });
            }
            None => drop(run),
        }
        let outcome = match fate.says {
            Says::Error(kind) => Err(self.error(operation, kind)),
            Says::Unreached => Err(self.error(Operation::Connect, StoreErrorKind::Connection)),
            Says::Truth | Says::Panic | Says::TooFew | Says::TooMany => match effect_of_it.await {
                Ok(outcome) => outcome,
                Err(_) => std::future::pending().await,
            },
        };
        match fate.answers {
            Some(Duration::ZERO) => {}
            Some(delay) => sleep_until(began + delay).await,
            None => std::future::pending().await,
        }
        self.note(format_args!("{what} answered: {}", brief(&outcome)));
        let mut outcome = outcome;
        match (fate.says, &mut outcome) {
            (Says::Panic, _) => panic!("as the script says"),
            (Says::TooFew, Ok(answers)) => drop(answers.pop()),
            (Says::TooMany, Ok(answers)) => answers.extend(answers.first().cloned()),
            _ => {}
        }
        outcome
    }
}

impl<S> Debug for Scripted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

struct UnderWay<'a>(&'a Shared);

impl<'a> UnderWay<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.under_way += 1;
        state.most_under_way = state.most_under_way.max(state.under_way);
        Self(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn brief<A: Debug>(outcome: &Result<Vec<A>, StoreError>) -> String {
    match outcome {
        Ok(answers) if answers.len() >= 10 => format!("{} answers", answers.len()),
        outcome => format!("{outcome:?}"),
    }
}
