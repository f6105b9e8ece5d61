//! Bytes: from the processes to log and attachments, from attachments to the processes.

use gantry_logs::Stream;
use gantry_shim_protocol::stream;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::connection::Mode;
use super::{FIRST, Keeper};

/// Bytes asked of a process' output at once.
const READ: usize = 256 << 10;
/// Bytes asked of a connection at once.
const READ_CONNECTION: usize = 16 << 10;

/// What a read has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Bytes,
    /// Nothing just now.
    Nothing,
    /// Nothing ever again.
    End,
}

impl Keeper {
    /// Reads a process' output once and hands it on.
    pub(super) fn pump_output(&mut self, number: u32, which: usize) {
        self.read_output(number, which);
    }

    pub(super) fn read_output(&mut self, number: u32, which: usize) -> Found {
        let Some(process) = self.processes.get_mut(&number) else { return Found::End };
        let Some(output) = &process.outputs[which] else { return Found::End };
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        bytes.reserve(READ);
        let found = match rustix::io::read(output, spare_capacity(&mut bytes)) {
            Ok(0) => Found::End,
            Ok(_) => Found::Bytes,
            Err(Errno::AGAIN | Errno::INTR) => Found::Nothing,
            // A terminal whose other side is closed by everybody answers EIO.
            Err(_) => Found::End,
        };
        match found {
            Found::Bytes => self.hand_on(number, which, &bytes),
            Found::End => process.outputs[which] = None,
            Found::Nothing => {}
        }
        self.scratch = bytes;
        found
    }

    fn hand_on(&mut self, number: u32, which: usize, bytes: &[u8]) {
        if number == FIRST {
            self.log.append(stream_of(which), bytes);
        }
        let Some(process) = self.processes.get(&number) else { return };
        let stream = if which == 0 { stream::STDOUT } else { stream::STDERR };
        for piece in bytes.chunks(stream::MAX_PIECE) {
            let header = stream::header(stream, piece.len());
            for attached in &process.attached {
                if let Some(connection) = self.connections.get_mut(attached)
                    && matches!(&connection.mode, Mode::Attached(attached) if attached.wants[which])
                {
                    connection.send_output(&header, piece);
                }
            }
        }
    }

    /// Writes what waits for a process' standard input.
    pub(super) fn pump_input(&mut self, number: u32) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        let Some(input) = &mut process.stdin else { return };
        match rustix::io::write(&input.fd, &input.buffer) {
            Ok(written) => {
                input.buffer.drain(..written);
                if input.buffer.is_empty() {
                    input.buffer = Vec::new();
                    if input.closing {
                        process.stdin = None;
                    }
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // It reads no more: what comes for it is thrown away from now on.
            Err(_) => process.stdin = None,
        }
    }

    /// Reads a connection once.
    pub(super) fn read_connection(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        // Not on the stack: a stack never gets smaller again.
        let mut bytes = vec![0; READ_CONNECTION];
        let got = connection.read(&mut bytes);
        match connection.mode {
            Mode::Attached(_) => self.take_input(number, &bytes[..got]),
            Mode::Hello | Mode::Requests => {
                connection.decoder.push(&bytes[..got]);
                self.take_requests(number);
            }
            // Nothing more is expected from these; that they end is.
            Mode::Subscribed | Mode::Closing => connection.broken |= connection.input_ended,
        }
    }

    /// Takes bytes of standard input from an attachment, or their end.
    pub(super) fn take_input(&mut self, number: u64, bytes: &[u8]) {
        let Some(connection) = self.connections.get(&number) else { return };
        let Mode::Attached(attached) = connection.mode else { return };
        let ended = connection.input_ended;
        if !attached.stdin {
            return;
        }
        if let Some(process) = self.processes.get_mut(&attached.process) {
            if let Some(input) = &mut process.stdin {
                input.buffer.extend_from_slice(bytes);
            }
            if ended && attached.close_stdin {
                process.close_stdin();
            }
        }
        if !bytes.is_empty() {
            self.pump_input(attached.process);
        }
    }
}

/// Which stream of the log an output is.
pub(super) fn stream_of(which: usize) -> Stream {
    if which == 0 { Stream::Stdout } else { Stream::Stderr }
}
