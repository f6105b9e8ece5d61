//! One connection of the engine's.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gantry_shim_protocol::{Decoder, Hello, frame};
use serde::Serialize;

/// Whoever takes no byte of what waits for him for so long is dropped.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Output is not read from the container while an attachment has this much to take.
pub(super) const HIGH: usize = 256 << 10;
/// A subscriber that has this much to take does not take anything.
const TOO_MUCH: usize = 4 << 20;

/// What the conversation has become.
#[derive(Debug)]
pub(super) enum Mode {
    /// Nothing is said yet.
    Hello,
    Requests,
    Subscribed,
    Attached(Attached),
    /// To be closed once what waits is written.
    Closing,
}

/// An attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attached {
    /// The number of the process.
    pub process: u32,
    pub stdin: bool,
    /// Wants standard output, standard error.
    pub wants: [bool; 2],
    /// Its end of input closes the process'.
    pub close_stdin: bool,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub stream: UnixStream,
    pub decoder: Decoder,
    pub mode: Mode,
    /// The other side sends no more.
    pub input_ended: bool,
    out: Vec<u8>,
    sent: usize,
    /// When the other side last took a byte, while something waits.
    waiting_since: Option<Instant>,
    pub broken: bool,
}

impl Connection {
    pub fn new(stream: UnixStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            decoder: Decoder::default(),
            mode: Mode::Hello,
            input_ended: false,
            out: Vec::new(),
            sent: 0,
            waiting_since: None,
            broken: false,
        })
    }

    /// The connection to whoever has spawned us: he knows who we are, and we him.
    pub fn spawner(stream: UnixStream) -> io::Result<Connection> {
        let mut connection = Connection::new(stream)?;
        connection.mode = Mode::Requests;
        connection.send(&Hello::mine());
        Ok(connection)
    }

    /// Adds a frame to what waits.
    pub fn send(&mut self, message: &impl Serialize) {
        let encoded = frame::encode_into(&mut self.out, message);
        self.broken |= encoded.is_err() || self.waiting() > TOO_MUCH;
    }

    /// Adds a piece of output to what waits.
    pub fn send_output(&mut self, header: &[u8], bytes: &[u8]) {
        self.out.extend_from_slice(header);
        self.out.extend_from_slice(bytes);
    }

    pub fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    pub fn is_flushed(&self) -> bool {
        self.waiting() == 0
    }

    /// When patience with it ends, if something waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting_since.map(|since| since + PATIENCE)
    }

    /// Writes what waits, as far as the other side takes it.
    pub fn flush(&mut self) {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => self.broken = true,
                Ok(n) => {
                    self.sent += n;
                    self.waiting_since = None;
                    continue;
                }
                Err(err) if err.kind() == ErrorKind::Interrupted => continue,
                Err(err) if err.kind() == ErrorKind::WouldBlock => {
                    let since = *self.waiting_since.get_or_insert_with(Instant::now);
                    self.broken |= since.elapsed() >= PATIENCE;
                }
                Err(_) => self.broken = true,
            }
            return;
        }
        self.out.clear();
        self.sent = 0;
        self.waiting_since = None;
        if self.out.capacity() > HIGH {
            self.out = Vec::new();
        }
        self.broken |= matches!(self.mode, Mode::Closing);
    }

    /// Gives memory back, between two bursts.
    pub fn rest(&mut self) {
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    /// Reads once. `Ok(0)`: nothing just now (or nothing ever: `input_ended`).
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        match self.stream.read(into) {
            Ok(0) => self.input_ended = true,
            Ok(n) => return n,
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.broken = true,
        }
        0
    }
}
