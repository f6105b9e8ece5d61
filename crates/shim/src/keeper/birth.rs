//! The keeper's beginning: configuration, log, socket, container; then one answer to the spawner.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use gantry_errdefs::Class;
use gantry_shim_protocol::{Failure, Response, ShimConfig, Status, bundle};
use gantry_sys::signals::SignalFd;
use rustix::fs::Mode;

use super::connection::Connection;
use super::process::{Life, Process, Streams};
use super::{FIRST, Keeper};
use crate::log::Log;
use crate::oom::OomWatch;
use crate::runtime::{self, failure};
use crate::{Fatal, settle};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
pub(super) const SIGCHLD: i32 = 17;

/// Makes keeper and container, and tells the spawner, who becomes the first connection.
pub(super) fn create(path: PathBuf, spawner: Option<OwnedFd>) -> Result<Keeper, Fatal> {
    let made = make(path.clone()).and_then(|mut keeper| match keeper.config.start {
        false => Ok(keeper),
        true => match keeper.start() {
            Ok(_) => Ok(keeper),
            Err(failure) => {
                keeper.abandon();
                Err(failure)
            }
        },
    });
    let spawner = spawner.map(UnixStream::from);
    match made {
        Ok(mut keeper) => {
            if let Some(stream) = spawner {
                let mut connection = Connection::spawner(stream)?;
                connection.send(&Response::Started { pid: keeper.pid() });
                keeper.add_connection(connection);
                keeper.end_of_turn();
            }
            Ok(keeper)
        }
        Err(failure) => {
            for name in [bundle::SOCKET, bundle::PID] {
                let _ = fs::remove_file(path.join(name));
            }
            if let Ok(config) = read_config(&path) {
                runtime::close(&path, &config);
            }
            if let Some(stream) = spawner {
                let mut connection = Connection::spawner(stream)?;
                connection.send(&Response::Failed(failure.clone()));
                connection.flush();
            }
            Err(failure.into())
        }
    }
}

fn make(path: PathBuf) -> Result<Keeper, Failure> {
    let config = read_config(&path)?;
    let log = Log::open(&config.log).map_err(|err| Failure::new(Class::InvalidArgument, err.to_string()))?;
    let told = |what: &'static str| move |err: std::io::Error| failure(what, &err);
    let listener = listen().map_err(told("listen"))?;
    fs::write(bundle::PID, std::process::id().to_string()).map_err(told("write pid"))?;
    let signals = SignalFd::new(&[SIGCHLD, SIGTERM, SIGINT, SIGHUP]).map_err(told("collect signals"))?;
    let runtime = runtime::open(&path, &config)?;
    let mut keeper = Keeper {
        bundle: path,
        signals,
        listener,
        runtime,
        log,
        oom: None,
        oom_seen: false,
        oom_looks: 0,
        status: Status::Created,
        exit: None,
        deleted: false,
        processes: BTreeMap::new(),
        next_process: FIRST + 1,
        remembered: VecDeque::new(),
        connections: BTreeMap::new(),
        next_connection: 1,
        leaving: Vec::new(),
        scratch: Vec::new(),
        config,
    };
    keeper.create_container()?;
    Ok(keeper)
}

fn read_config(path: &Path) -> Result<ShimConfig, Failure> {
    let text = fs::read(path.join(bundle::SHIM_CONFIG)).map_err(|err| failure("read shim.json", &err))?;
    serde_json::from_slice(&text).map_err(|err| runtime::not_understood("shim.json", &err))
}

/// We stand in the bundle, so that the socket's address is short whatever the bundle's is.
fn listen() -> std::io::Result<UnixListener> {
    let _ = fs::remove_file(bundle::SOCKET);
    let before = rustix::process::umask(Mode::from_bits_truncate(0o077));
    let listener = UnixListener::bind(bundle::SOCKET);
    rustix::process::umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Keeper {
    fn create_container(&mut self) -> Result<(), Failure> {
        let ShimConfig { tty, open_stdin, console_size, .. } = self.config;
        let (stdio, streams) =
            Streams::make(tty, open_stdin).map_err(|err| failure("make the container's streams", &err))?;
        if let Some(soft) = self.config.soft_descriptors {
            settle::set_soft_descriptors(soft);
        }
        let made = self.runtime.create(stdio)?;
        // Only now: the container's processes inherit it otherwise.
        if let Some(adj) = self.config.oom_score_adj {
            settle::set_oom_score(adj);
        }
        self.oom = OomWatch::of(made.pid);
        let mut process = Process::new(None, tty, Life::Running { pid: made.pid });
        let joined = process.join(streams, made.console, console_size);
        self.processes.insert(FIRST, process);
        joined.map_err(|err| {
            self.abandon();
            failure("join the container's streams", &err)
        })
    }

    /// Ends a container that nobody will hear of.
    pub(super) fn abandon(&mut self) {
        if let Err(failure) = self.runtime.delete() {
            eprintln!("after a failed start: {failure}");
        }
    }
}
