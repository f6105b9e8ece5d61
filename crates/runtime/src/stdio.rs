//! What a new process has as stdin, stdout and stderr.

use std::os::fd::OwnedFd;

/// Given away to the new process: the caller's copies are closed once it runs.
#[derive(Debug, Default)]
pub enum Stdio {
    /// The caller's own 0, 1 and 2.
    #[default]
    Inherit,
    /// These three (the container's ends of pipes, files, `/dev/null`, ...). They are given to the
    /// process's user, so that it can open `/dev/stdout` again.
    Files { stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd },
    /// A terminal made in the container's own devpts; its master is handed back (`take_console`).
    /// `process.terminal` has to be true.
    Terminal,
}
