//! The keeper: one loop, everything it owns in one place.
//!
//! [`keep`] settles, makes the container, answers the spawner and then turns: [`wait`](poll) for what is ready, handle it
//! ([`pump`] moves bytes, [`requests`] answers the engine, [`exits`] reaps), and at the end of each turn write what has
//! gathered: the log once, each connection once.
//!
//! Promises, and where they are kept:
//! - An exit is on disk before anybody is told (`exits`), and all output of a process is in the log and with its
//!   attachments before its exit is told (`exits`).
//! - A slow attachment slows the container down, within bounds: its buffer is bounded, and one that takes no byte for
//!   [`connection::PATIENCE`] is dropped (`pump`, `connection`).
//! - The engine's death changes nothing: a connection that ends is forgotten, the socket goes on listening.

mod birth;
mod connection;
mod exits;
mod poll;
mod process;
mod pump;
mod requests;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use gantry_names::ExecId;
use gantry_shim_protocol::{Event, ExitRecord, ShimConfig, Status, bundle};
use gantry_sys::signals::SignalFd;

use crate::Fatal;
use crate::log::Log;
use crate::oom::OomWatch;
use crate::runtime::Runtime;
use connection::{Connection, Mode};
use process::{Life, Process};

/// The container's first process; sessions have higher numbers.
const FIRST: u32 = 0;
/// Exits of sessions that are remembered for subscribers to come.
const REMEMBERED: usize = 1024;

/// Everything a keeper owns.
pub(crate) struct Keeper {
    bundle: PathBuf,
    config: ShimConfig,
    signals: SignalFd,
    listener: UnixListener,
    runtime: Box<dyn Runtime>,
    log: Log,
    oom: Option<OomWatch>,
    oom_seen: bool,
    /// The kernel has announced a kill that it has not counted yet: looks left.
    oom_looks: u8,
    status: Status,
    exit: Option<ExitRecord>,
    /// The runtime has removed the container.
    deleted: bool,
    processes: BTreeMap<u32, Process>,
    next_process: u32,
    remembered: VecDeque<(ExecId, ExitRecord)>,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    /// Connections that asked for a shutdown.
    leaving: Vec<u64>,
    scratch: Vec<u8>,
}

/// A keeper's whole life.
pub(crate) fn keep(path: &Path) -> Result<(), Fatal> {
    let path = fs::canonicalize(path)?;
    let spawner = crate::settle::settle(&path)?;
    let mut keeper = birth::create(path, spawner)?;
    keeper.turn_until_over()?;
    keeper.leave();
    Ok(())
}

impl Keeper {
    fn turn_until_over(&mut self) -> Result<(), Fatal> {
        while !self.is_over() {
            for (token, flags) in self.wait()? {
                self.handle(token, flags);
            }
            self.end_of_turn();
        }
        Ok(())
    }

    /// What has gathered goes out: the log in one write, endings as far as they are, then every connection.
    fn end_of_turn(&mut self) {
        self.log.flush();
        self.advance_endings();
        self.flush_connections();
    }

    /// The container is over and everybody who wanted to know has been told.
    fn is_over(&self) -> bool {
        if self.exit.is_none() || !self.deleted || !self.processes.is_empty() {
            return false;
        }
        if !self.leaving.is_empty() {
            return self.connections.values().all(Connection::is_flushed);
        }
        self.connections.is_empty() && self.log.waits_for().is_none() && !self.log.is_compressing()
    }

    fn leave(&self) {
        for name in [bundle::SOCKET, bundle::PID] {
            let _ = fs::remove_file(self.bundle.join(name));
        }
        crate::runtime::close(&self.bundle, &self.config);
    }

    fn tell(&mut self, event: &Event) {
        for connection in self.connections.values_mut() {
            if matches!(connection.mode, Mode::Subscribed) {
                connection.send(event);
            }
        }
    }

    /// The number of the process that a request is about.
    fn find(&self, session: Option<&ExecId>) -> Option<u32> {
        self.processes
            .iter()
            .find(|(_, process)| process.session.as_ref() == session)
            .map(|(number, _)| *number)
    }

    fn pid(&self) -> u32 {
        match self.processes.get(&FIRST).map(|process| &process.life) {
            Some(Life::Running { pid }) => *pid as u32,
            _ => 0,
        }
    }
}
