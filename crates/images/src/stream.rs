//! Bytes handed from one thread to the next, so that reading, hashing, inflating and unpacking overlap.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes in one piece: large enough that handing it over costs nothing beside filling it.
const PIECE: usize = 256 << 10;
/// Pieces on their way; more would only hold memory.
const DEPTH: usize = 8;

/// One piece; several stages may read the same one.
pub(crate) type Piece = Arc<Vec<u8>>;

/// A bounded pipe between threads. Dropping the writer ends the stream; dropping the reader makes writes fail.
pub(crate) fn pipe() -> (PipeWriter, PipeReader) {
    let (send, receive) = sync_channel(DEPTH);
    (
        PipeWriter { send, piece: Vec::with_capacity(PIECE) },
        PipeReader { receive, piece: Arc::default(), at: 0 },
    )
}

/// The end that is written to. [`PipeWriter::finish`] hands on what is left.
#[derive(Debug)]
pub(crate) struct PipeWriter {
    send: SyncSender<io::Result<Piece>>,
    piece: Vec<u8>,
}

/// The end that is read from.
#[derive(Debug)]
pub(crate) struct PipeReader {
    receive: Receiver<io::Result<Piece>>,
    piece: Piece,
    at: usize,
}

impl PipeWriter {
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.hand_over()
    }

    /// Ends the stream with an error instead of an end, so that half a stream is never taken for a whole one. `false` where
    /// the reader is gone already: then it gave up first, and has the cause.
    pub(crate) fn fail(self, error: io::Error) -> bool {
        self.send.send(Err(error)).is_ok()
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.send_piece(Arc::new(piece))
    }

    /// Hands on a piece that another stage reads as well. Not to be mixed with writing.
    pub(crate) fn send_piece(&mut self, piece: Piece) -> io::Result<()> {
        self.send.send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.hand_over()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()
    }
}

impl PipeReader {
    /// The next piece as it is; `None` at the end.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        self.receive.recv().ok().transpose()
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.next_piece()? {
                Some(piece) => (self.piece, self.at) = (piece, 0),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Fills one piece; it is short, or empty, only at the end.
pub(crate) fn read_piece(input: &mut impl Read) -> io::Result<Piece> {
    let mut piece = vec![0; PIECE];
    let mut have = 0;
    while have < PIECE {
        match input.read(&mut piece[have..]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(have);
    Ok(Arc::new(piece))
}

/// Reads `input` on a thread of its own.
pub(crate) fn read_ahead(mut input: impl Read + Send + 'static) -> PipeReader {
    let (mut writer, reader) = pipe();
    std::thread::spawn(move || match io::copy(&mut input, &mut writer) {
        // Where the reader is gone nobody waits for the rest.
        Ok(_) => drop(writer.finish()),
        Err(error) => {
            writer.fail(error);
        }
    });
    reader
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_through_in_order_and_an_error_is_no_end() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut got = Vec::new();
        read_ahead(io::Cursor::new(bytes.clone())).read_to_end(&mut got).unwrap();
        assert_eq!(got, bytes);

        let (writer, mut reader) = pipe();
        writer.fail(io::Error::other("torn"));
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().to_string(), "torn");
    }

    #[test]
    fn a_writer_whose_reader_is_gone_is_told() {
        let (mut writer, reader) = pipe();
        drop(reader);
        assert!(writer.write_all(&vec![0; 4 * PIECE]).is_err());
    }
}
