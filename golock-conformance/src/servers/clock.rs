//! The clock of a server in a container, where it can be set.

use std::path::PathBuf;
use std::{env, fs};

use async_trait::async_trait;
use testcontainers::core::{CmdWaitFor, ExecCommand};
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

use super::container::Container;
use super::table::Kind;
use crate::clock;
use crate::fixture::{Ability, BoxError, Clock};

/// What a container is started with, so that the clock of its server can be set.
#[derive(Debug)]
pub(super) struct SettableClock {
    library: PathBuf,
    user: &'static str,
}

tokio::task_local! {
    static WANTED: ();
}

/// Opens servers whose clocks can be set, where that is possible. Others run as they are: what is tested on them should not depend on
/// what stands between them and their clock.
pub(crate) fn with_settable_clocks<F: Future>(open: F) -> impl Future<Output = F::Output> {
    WANTED.scope((), open)
}

impl SettableClock {
    /// The clock of a new server of the kind, or why it can't be set.
    pub(super) fn new(kind: &Kind) -> Ability<Self> {
        if seconds_ahead().is_none() && WANTED.try_with(|()| ()).is_err() {
            return Err("clocks are set in runs of faults");
        }
        let user = kind.clock?;
        Ok(Self { library: clock::library()?, user })
    }

    /// The same container, with this clock.
    pub(super) fn put_into(
        &self,
        mut request: ContainerRequest<GenericImage>,
    ) -> Result<ContainerRequest<GenericImage>, String> {
        let library =
            fs::read(&self.library).map_err(|error| format!("{}: {error}", self.library.display()))?;
        for (variable, value) in clock::environment(LIBRARY, FILE) {
            request = request.with_env_var(variable, value);
        }
        Ok(request.with_user(self.user).with_copy_to(LIBRARY, library))
    }
}

#[async_trait]
impl Clock for Container {
    async fn set_clock(&self, seconds_ahead: i64) -> Result<(), BoxError> {
        // In one step: a process must never read half of it.
        let set =
            format!("echo '{}' >{FILE}.new && mv {FILE}.new {FILE}", clock::setting(seconds_ahead).trim());
        let running = self.running.lock().await;
        let Some(container) = running.as_ref() else { return Err("the container was removed".into()) };
        let command = ExecCommand::new(["sh", "-c", &set]).with_cmd_ready_condition(CmdWaitFor::exit_code(0));
        container.exec(command).await?;
        Ok(())
    }
}

/// How many seconds ahead the clocks of all servers are to be, as `GOLOCK_TEST_CLOCK` says.
#[allow(clippy::panic, reason = "a misspelt number must not run the right time in silence")]
pub(super) fn seconds_ahead() -> Option<i64> {
    let value = env::var("GOLOCK_TEST_CLOCK").ok().filter(|value| !value.is_empty())?;
    match value.parse() {
        Ok(seconds) => Some(seconds),
        Err(_) => panic!("GOLOCK_TEST_CLOCK={value:?} is not a number of seconds"),
    }
}

/// Where it is in the container.
const LIBRARY: &str = "/tmp/golock-libfaketime.so.1";
const FILE: &str = "/tmp/golock-clock";
