//! The step between us and a program that we execute.
//!
//! We block the signals that we wait for, and a blocked signal stays blocked in whatever is executed. Unblocking them
//! first would leave a moment in which one of them ends us. So what we start is ourselves again, and this part, still
//! with everything blocked, makes signals as a fresh program expects them and becomes the program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use gantry_sys::signals;
use rustix::process::{getpgrp, getpid, setpgid};
use rustix::termios::{isatty, tcsetpgrp};

/// Chooses this face.
pub(crate) const WORD: &str = "--fresh";
/// Asks for a process group of its own, in the foreground of the terminal if there is one.
pub(crate) const GROUP: &str = "--group";

/// A command that starts `program` by way of this step.
pub(crate) fn command(myself: impl AsRef<OsStr>, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(myself);
    // What was said to our own allocator is nobody else's business.
    command.arg(WORD).arg(program).env_remove("GLIBC_TUNABLES");
    command
}

/// Becomes the command; comes back only when it cannot be executed, with the code a shell gives.
pub(crate) fn execute(command: &[OsString]) -> ExitCode {
    let (group, command) = match command.split_first() {
        Some((first, rest)) if first == GROUP => (true, rest),
        _ => (false, command),
    };
    let Some((program, args)) = command.split_first() else { return ExitCode::FAILURE };
    let err = match become_fresh(group) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(err) => err,
    };
    let name = program.to_string_lossy();
    eprintln!("[FATAL gantry-init ({})] exec {name} failed: {err}", std::process::id());
    ExitCode::from(if err.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

fn become_fresh(group: bool) -> io::Result<()> {
    if group {
        setpgid(None, None)?;
        let stdin = io::stdin();
        if isatty(&stdin) {
            // From the background; SIGTTOU is among what is blocked. It may not be our terminal, and that is fine.
            let _ = tcsetpgrp(&stdin, getpgrp());
        }
        debug_assert_eq!(getpgrp(), getpid());
    }
    signals::reset()
}
