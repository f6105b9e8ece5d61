//! A handle on one shim: each method is one request.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_names::ExecId;
use gantry_shim_protocol::{ExecSpec, ExitRecord, Request, Response, Status};

use rustix::process::{Pid, Signal, kill_process};

use crate::attach::{AttachTo, Attachment};
use crate::connection::Connection;
use crate::control::Control;
use crate::events::{Events, Exit};
use crate::{ShimError, attach};

/// One container's shim. Clones share one control connection; dropping the last does nothing to the container.
#[derive(Debug, Clone)]
pub struct Shim {
    control: Control,
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    bundle: PathBuf,
    shim_pid: u32,
    pid: u32,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Created, running, paused or stopped.
    pub status: Status,
    /// The first process, as the host counts; 0 once stopped.
    pub pid: u32,
    /// How it ended, once stopped.
    pub exit: Option<ExitRecord>,
}

impl Shim {
    pub(crate) fn new(bundle: &Path, connection: Connection, pid: u32) -> Shim {
        let place = Place { bundle: bundle.to_owned(), shim_pid: connection.shim_pid, pid };
        Shim { control: Control::run(connection), place: Arc::new(place) }
    }

    /// The bundle it keeps.
    pub fn bundle(&self) -> &Path {
        &self.place.bundle
    }

    /// The shim's own process.
    pub fn shim_pid(&self) -> u32 {
        self.place.shim_pid
    }

    /// The container's first process, as the host counts, as of when this handle was made; 0 if it had stopped.
    pub fn pid(&self) -> u32 {
        self.place.pid
    }

    /// Lets the created container run its program; its pid.
    ///
    /// Fails with an `exit_code` of 126 or 127 in the failure when the program cannot be executed. The container
    /// is then over: an `Exited` event follows.
    pub async fn start(&self) -> Result<u32, ShimError> {
        started(self.control.ask(Request::Start).await?)
    }

    /// What the container is doing.
    pub async fn state(&self) -> Result<State, ShimError> {
        state(self.control.ask(Request::State).await?)
    }

    /// Sends a signal to the first process, or to a session's. Class not-found when it is gone.
    pub async fn signal(&self, session: Option<&ExecId>, signal: i32) -> Result<(), ShimError> {
        done(self.control.ask(Request::Signal { signal, session: session.cloned(), all: false }).await?)
    }

    /// Sends a signal to every process of the container.
    pub async fn signal_all(&self, signal: i32) -> Result<(), ShimError> {
        done(self.control.ask(Request::Signal { signal, session: None, all: true }).await?)
    }

    /// Freezes the container.
    pub async fn pause(&self) -> Result<(), ShimError> {
        done(self.control.ask(Request::Pause).await?)
    }

    /// Thaws it.
    pub async fn resume(&self) -> Result<(), ShimError> {
        done(self.control.ask(Request::Resume).await?)
    }

    /// Changes its limits; `resources` is OCI `linux.resources`.
    pub async fn update(&self, resources: serde_json::Value) -> Result<(), ShimError> {
        done(self.control.ask(Request::Update { resources }).await?)
    }

    /// Prepares an exec session. Attach to it before [`Shim::exec_start`] so that no output is missed: output that
    /// nobody is attached for is thrown away, as Docker does.
    pub async fn exec_create(&self, spec: ExecSpec) -> Result<(), ShimError> {
        done(self.control.ask(Request::ExecCreate(spec)).await?)
    }

    /// Runs a prepared session; its pid. Fails with an `exit_code` of 126 or 127 as [`Shim::start`] does.
    pub async fn exec_start(&self, session: &ExecId) -> Result<u32, ShimError> {
        started(self.control.ask(Request::ExecStart { session: session.clone() }).await?)
    }

    /// Forgets a session that does not run.
    pub async fn exec_remove(&self, session: &ExecId) -> Result<(), ShimError> {
        done(self.control.ask(Request::ExecRemove { session: session.clone() }).await?)
    }

    /// Changes a terminal's size.
    pub async fn resize(&self, session: Option<&ExecId>, height: u16, width: u16) -> Result<(), ShimError> {
        done(self.control.ask(Request::Resize { session: session.cloned(), height, width }).await?)
    }

    /// Joins the streams of the container or of a session. Attached from the moment this returns.
    pub async fn attach(&self, session: Option<&ExecId>, to: AttachTo) -> Result<Attachment, ShimError> {
        attach::attach(&self.place.bundle, session, to).await
    }

    /// Closes standard input.
    pub async fn close_stdin(&self, session: Option<&ExecId>) -> Result<(), ShimError> {
        done(self.control.ask(Request::CloseStdin { session: session.cloned() }).await?)
    }

    /// A subscription: first what already happened and is remembered, then what happens.
    pub async fn events(&self) -> Result<Events, ShimError> {
        Events::open(&self.place.bundle).await
    }

    /// Waits for the container's end. By the time this returns, all its output has been handed over and the exit
    /// record is on disk.
    pub async fn wait(&self) -> Result<Exit, ShimError> {
        self.wait_for(None).await
    }

    /// Waits for a session's end, which may already have been (and is remembered until [`Shim::exec_remove`] or
    /// until very many sessions have ended).
    pub async fn exec_wait(&self, session: &ExecId) -> Result<Exit, ShimError> {
        self.wait_for(Some(session)).await
    }

    async fn wait_for(&self, session: Option<&ExecId>) -> Result<Exit, ShimError> {
        match Events::open(&self.place.bundle).await {
            Ok(mut events) => events.exit_of(session).await,
            Err(ShimError::Gone) => Exit::on_disk(&self.place.bundle, session),
            Err(err) => Err(err),
        }
    }

    /// Ends the shim itself, with SIGKILL: the way to a container whose shim stands still. What is left of the container
    /// is for [`crate::Shims::clean`].
    pub fn kill(&self) -> io::Result<()> {
        let pid = i32::try_from(self.place.shim_pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        match kill_process(pid, Signal::KILL) {
            Err(err) if err != rustix::io::Errno::SRCH => Err(err.into()),
            _ => Ok(()),
        }
    }

    /// Kills what is left of the container, removes its cgroup and runtime state, and ends the shim. The bundle
    /// stays, with the exit record: [`crate::Shims::remove`].
    pub async fn shutdown(&self) -> Result<(), ShimError> {
        match self.control.ask(Request::Shutdown).await {
            Ok(response) => done(response),
            // A shim that exited by itself has done all of that.
            Err(ShimError::Gone) => Ok(()),
            Err(err) => Err(err),
        }
    }
}

pub(crate) fn done(response: Response) -> Result<(), ShimError> {
    match response {
        Response::Ok => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn started(response: Response) -> Result<u32, ShimError> {
    match response {
        Response::Started { pid } => Ok(pid),
        other => Err(unexpected(other)),
    }
}

pub(crate) fn state(response: Response) -> Result<State, ShimError> {
    match response {
        Response::State { status, pid, exit } => Ok(State { status, pid, exit }),
        other => Err(unexpected(other)),
    }
}

pub(crate) fn unexpected(response: Response) -> ShimError {
    match response {
        Response::Failed(failure) => ShimError::Failed(failure),
        other => ShimError::Unexpected(format!("{other:?}")),
    }
}
