//! Waiting: what to wait for, for how long, and who handles what came.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use gantry_shim_protocol::Event;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Keeper;
use super::birth::SIGCHLD;
use super::connection::{Connection, HIGH, Mode};
use super::process::Life;

/// A process whose input holds this much takes no more just now.
pub(super) const INPUT_HIGH: usize = 64 << 10;
/// The kernel announces an out-of-memory kill before it counts it: how long until the next look.
const OOM_LOOK: Duration = Duration::from_millis(20);
/// And how often to look.
const OOM_LOOKS: u8 = 50;
/// An exit is not withheld longer than this for an attachment that is slow to take the last output; Docker's measure.
pub(super) const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// How long an attachment hears what a dead process' children still say; Docker's measure as well.
pub(super) const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// What a ready descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Signals,
    Listener,
    Oom,
    /// The process that writes the log takes more.
    Log,
    Connection(u64),
    /// A process' output: its number, which.
    Output(u32, usize),
    Input(u32),
}

impl Keeper {
    /// Waits until something is ready or a deadline has passed.
    pub(super) fn wait(&mut self) -> io::Result<Vec<(Token, PollFlags)>> {
        let ready = self.look(Some(Duration::ZERO))?;
        if !ready.is_empty() {
            return Ok(ready);
        }
        // A pause: what the last burst needed is given back before we sleep.
        self.rest();
        let timeout = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        self.look(timeout)
    }

    fn rest(&mut self) {
        self.scratch = Vec::new();
        self.log.rest();
        for connection in self.connections.values_mut() {
            connection.rest();
        }
    }

    fn look(&self, timeout: Option<Duration>) -> io::Result<Vec<(Token, PollFlags)>> {
        let wanted = self.wanted();
        let mut fds: Vec<PollFd<'_>> =
            wanted.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: i64::from(t.subsec_nanos()) });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(err) => return Err(err.into()),
        }
        let ready = wanted.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|((token, ..), fd)| (*token, fd.revents())).collect())
    }

    fn wanted(&self) -> Vec<(Token, BorrowedFd<'_>, PollFlags)> {
        let mut wanted = Vec::with_capacity(3 + self.connections.len() + 3 * self.processes.len());
        wanted.push((Token::Signals, self.signals.as_fd(), PollFlags::IN));
        wanted.push((Token::Listener, self.listener.as_fd(), PollFlags::IN));
        if let Some(oom) = &self.oom {
            wanted.push((Token::Oom, oom.fd(), PollFlags::IN));
        }
        if let Some(log) = self.log.waits_for() {
            wanted.push((Token::Log, log, PollFlags::OUT));
        }
        for (number, connection) in &self.connections {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::OUT, !connection.is_flushed());
            flags.set(PollFlags::IN, !connection.input_ended && self.takes_input(connection));
            // One that we do not read from just now tells its end over and over: it is left out, not asked for nothing.
            if !flags.is_empty() || connection.input_ended {
                wanted.push((Token::Connection(*number), connection.stream.as_fd(), flags));
            }
        }
        for (number, process) in &self.processes {
            for (which, output) in process.outputs.iter().enumerate() {
                if let Some(fd) = output
                    && !self.is_congested(*number, which)
                {
                    wanted.push((Token::Output(*number, which), fd.as_fd(), PollFlags::IN));
                }
            }
            if let Some(input) = &process.stdin
                && !input.buffer.is_empty()
            {
                wanted.push((Token::Input(*number), input.fd.as_fd(), PollFlags::OUT));
            }
        }
        wanted
    }

    /// Whether what a connection sends can be taken now.
    fn takes_input(&self, connection: &Connection) -> bool {
        match &connection.mode {
            Mode::Attached(attached) => self
                .processes
                .get(&attached.process)
                .and_then(|process| process.stdin.as_ref())
                .is_none_or(|input| !attached.stdin || input.buffer.len() < INPUT_HIGH),
            // Who does not take answers may not ask.
            _ => connection.waiting() < HIGH,
        }
    }

    /// Whether an attachment has not taken what it has of this output: then the process waits.
    pub(super) fn is_congested(&self, process: u32, which: usize) -> bool {
        let attached = self.processes.get(&process).map(|process| process.attached.as_slice());
        attached.unwrap_or_default().iter().filter_map(|number| self.connections.get(number)).any(
            |connection| {
                matches!(&connection.mode, Mode::Attached(attached) if attached.wants[which])
                    && connection.waiting() >= HIGH
            },
        )
    }

    fn deadline(&self) -> Option<Instant> {
        let patience = self.connections.values().filter_map(Connection::deadline);
        let flushing = self.processes.values().filter_map(|process| match process.life {
            // After it only a slow attachment is waited for, which tells itself.
            Life::Drains { since, .. } => Some(since + DRAIN_PATIENCE).filter(|at| *at > Instant::now()),
            Life::Flushes { since, .. } => Some(since + FLUSH_PATIENCE),
            _ => None,
        });
        let oom = (self.oom_looks > 0).then(|| Instant::now() + OOM_LOOK);
        patience.chain(flushing).chain(oom).min()
    }

    pub(super) fn handle(&mut self, token: Token, flags: PollFlags) {
        match token {
            Token::Signals => self.take_signals(),
            Token::Listener => self.accept(),
            Token::Oom => self.oom_looks = OOM_LOOKS,
            Token::Log => self.log.flush(),
            Token::Output(process, which) => self.pump_output(process, which),
            Token::Input(process) => self.pump_input(process),
            Token::Connection(number) => self.handle_connection(number, flags),
        }
    }

    pub(super) fn look_for_oom(&mut self) {
        self.oom_looks = self.oom_looks.saturating_sub(1);
        if self.oom.as_mut().is_some_and(crate::oom::OomWatch::take) {
            self.oom_looks = 0;
            self.oom_seen = true;
            self.tell(&Event::Oom);
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(received)) = self.signals.read() {
            if received.signal != SIGCHLD {
                // See the crate's first page for why.
                eprintln!("signal {} from process {}: ignored", received.signal, received.pid);
            }
        }
        self.reap();
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if let Ok(connection) = Connection::new(stream) {
                self.add_connection(connection);
            }
        }
    }

    pub(super) fn add_connection(&mut self, connection: Connection) -> u64 {
        let number = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(number, connection);
        number
    }

    fn handle_connection(&mut self, number: u64, flags: PollFlags) {
        if flags.contains(PollFlags::IN) {
            self.read_connection(number);
        }
        if let Some(connection) = self.connections.get_mut(&number)
            && flags.intersects(PollFlags::HUP | PollFlags::ERR)
            && (connection.input_ended || !flags.contains(PollFlags::IN))
        {
            connection.broken = true;
        }
    }

    /// Writes what waits everywhere, and forgets who is gone.
    pub(super) fn flush_connections(&mut self) {
        let mut gone = Vec::new();
        for (number, connection) in &mut self.connections {
            connection.flush();
            let quiet = matches!(connection.mode, Mode::Hello | Mode::Requests) && connection.input_ended;
            if connection.broken || (quiet && connection.is_flushed()) {
                gone.push(*number);
            }
        }
        for number in gone {
            self.forget_connection(number);
        }
    }

    fn forget_connection(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        self.leaving.retain(|leaving| *leaving != number);
        let Mode::Attached(attached) = connection.mode else { return };
        let Some(process) = self.processes.get_mut(&attached.process) else { return };
        process.attached.retain(|attached| *attached != number);
        // A writer of the input that vanishes has ended it, as surely as one that says so.
        if attached.stdin && attached.close_stdin && !connection.input_ended {
            process.close_stdin();
        }
    }
}
