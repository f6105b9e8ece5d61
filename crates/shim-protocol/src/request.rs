//! What may be asked of a shim.

use gantry_names::ExecId;
use serde::{Deserialize, Serialize};

/// One request. `session` names an exec session; `None` is the container's first process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Lets the created process run its program. Answer: `Started`.
    Start,
    /// What the container is doing. Answer: `State`.
    State,
    /// Sends a signal. Answer: `Ok`; class not-found when the process is gone.
    Signal {
        /// The signal's number.
        signal: i32,
        /// To whom.
        #[serde(default)]
        session: Option<ExecId>,
        /// To every process of the container (session is ignored).
        #[serde(default)]
        all: bool,
    },
    /// Freezes the container.
    Pause,
    /// Thaws it.
    Resume,
    /// Changes its limits.
    Update {
        /// OCI `linux.resources`.
        resources: serde_json::Value,
    },
    /// Prepares an exec session; nothing runs yet, but it can be attached to.
    ExecCreate(ExecSpec),
    /// Runs a prepared session. Answer: `Started`.
    ExecStart {
        /// The session.
        session: ExecId,
    },
    /// Forgets a session that does not run. A session whose exit was told is forgotten by itself when memory asks
    /// for it.
    ExecRemove {
        /// The session.
        session: ExecId,
    },
    /// Changes a terminal's size.
    Resize {
        /// Whose.
        #[serde(default)]
        session: Option<ExecId>,
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
    },
    /// Joins a process' streams. Answer: `Ok`, and then the connection is raw, see [`crate::stream`].
    Attach {
        /// Whose.
        #[serde(default)]
        session: Option<ExecId>,
        /// Whether this connection writes the standard input.
        stdin: bool,
        /// Whether it wants standard output (all output of a terminal is standard output).
        stdout: bool,
        /// Whether it wants standard error.
        stderr: bool,
        /// Close the process' standard input when this connection's half ends, even if the container was not
        /// created with `stdin_once`. Never done to a terminal.
        #[serde(default)]
        close_stdin: bool,
    },
    /// Closes a process' standard input.
    CloseStdin {
        /// Whose.
        #[serde(default)]
        session: Option<ExecId>,
    },
    /// Asks for events. Answer: `Ok`, then first the events that already were (`Started`, exits that are still
    /// remembered), then new ones as they come.
    Subscribe,
    /// Kills what is left, removes cgroup and runtime state, and exits. The answer comes when that is done.
    Shutdown,
}

/// An exec session to prepare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Its name.
    pub session: ExecId,
    /// OCI `process`.
    pub process: serde_json::Value,
    /// Give it a terminal.
    pub tty: bool,
    /// Give it a standard input; without, it reads `/dev/null`.
    pub stdin: bool,
}
