//! What stands where the command will be until golock knows the group that it runs in: a process that waits for the
//! command's standard input, and then becomes the command. If golock or the watchdog dies before, it ends.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::line::{own_end, receive_file};
use crate::failure::Failure;

/// Becomes the command. Returns only if it can't.
pub(crate) fn wait_and_become(command: &[OsString]) -> Failure {
    let Some((program, arguments)) = command.split_first() else { return Failure::usage("no command") };
    let stdin = match own_end().and_then(|line| receive_file(&line)) {
        Ok(Some(stdin)) => stdin,
        Ok(None) => return Failure::internal("golock is gone"),
        Err(error) => return Failure::internal(format!("golock can't be heard: {error}")),
    };
    if let Err(error) = rustix::stdio::dup2_stdin(&stdin) {
        return Failure::internal(format!("no standard input: {error}"));
    }
    drop(stdin);
    let error = Command::new(program).args(arguments).exec();
    Failure::cannot_run(program, &error)
}
