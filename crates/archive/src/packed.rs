//! Writing gzip and zstd on all cores.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes of input in one member: large enough that a member's own header and dictionary cost nothing (under 0.1 %).
const PIECE: usize = 1 << 20;

/// Samples of a piece that tell whether it is worth compressing, and bytes in each.
const SAMPLES: usize = 8;
const SAMPLE: usize = 4 << 10;

type Job = (Vec<u8>, SyncSender<io::Result<Vec<u8>>>);

/// How a stream is to be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packing {
    /// gzip, 0 to 9.
    Gzip(u32),
    /// Zstandard, 1 to 22.
    Zstd(i32),
}

/// Compresses what is written to it into a stream of independent members, compressed side by side and written in order
/// (RFC 1952, 2.2: a gzip file is a series of members; RFC 8878, 3: zstd's is one of frames). The bytes depend only on
/// the input and the packing.
#[derive(Debug)]
pub struct PackedWriter<W> {
    out: W,
    piece: Vec<u8>,
    jobs: Option<Sender<Job>>,
    /// Results in the order of their input.
    waiting: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    workers: Vec<JoinHandle<()>>,
    any: bool,
}

impl<W: Write> PackedWriter<W> {
    /// A writer on as many threads as there are cores.
    pub fn new(out: W, packing: Packing) -> PackedWriter<W> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let workers = (0..count).map(|_| spawn(Arc::clone(&queue), packing)).collect();
        PackedWriter {
            out,
            piece: Vec::with_capacity(PIECE),
            jobs: Some(jobs),
            waiting: VecDeque::new(),
            workers,
            any: false,
        }
    }

    /// Writes what is left and gives the stream below back.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.piece.is_empty() || !self.any {
            self.hand_over()?;
        }
        while self.collect()? {}
        self.jobs = None;
        for worker in self.workers.drain(..) {
            worker.join().map_err(|_| io::Error::other("a compressor ended early"))?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn hand_over(&mut self) -> io::Result<()> {
        self.any = true;
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let (done, wait) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        jobs.send((piece, done)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.waiting.push_back(wait);
        // Twice the workers keeps them busy; more would only hold memory.
        if self.waiting.len() > self.workers.len() * 2 {
            self.collect()?;
        }
        Ok(())
    }

    /// Writes the oldest result; `false` if there is none.
    fn collect(&mut self) -> io::Result<bool> {
        let Some(oldest) = self.waiting.pop_front() else { return Ok(false) };
        let member = oldest.recv().map_err(|_| io::Error::other("a compressor ended early"))??;
        self.out.write_all(&member)?;
        Ok(true)
    }
}

impl<W: Write> Write for PackedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..n]);
        if self.piece.len() == PIECE {
            self.hand_over()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn spawn(queue: Arc<Mutex<Receiver<Job>>>, packing: Packing) -> JoinHandle<()> {
    thread::spawn(move || {
        loop {
            let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((piece, done)) = job else { return };
            // Nobody waits any more if the writer was dropped.
            let _ = done.send(compress(&piece, packing));
        }
    })
}

fn compress(piece: &[u8], packing: Packing) -> io::Result<Vec<u8>> {
    match packing {
        Packing::Gzip(level) => member(&[piece], if dense(piece)? { 0 } else { level }),
        Packing::Zstd(level) => zstd::bulk::compress(piece, level),
    }
}

fn member(parts: &[&[u8]], level: u32) -> io::Result<Vec<u8>> {
    let out = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() / 2);
    let mut encoder = flate2::GzBuilder::new().write(out, flate2::Compression::new(level.min(9)));
    for part in parts {
        encoder.write_all(part)?;
    }
    encoder.finish()
}

/// Whether a piece is compressed already (archives, pictures, models), so that trying costs the most time and brings
/// nothing: told by a few samples of it.
fn dense(piece: &[u8]) -> io::Result<bool> {
    let samples: Vec<&[u8]> = piece
        .chunks(piece.len().div_ceil(SAMPLES).max(1))
        .map(|part| &part[..part.len().min(SAMPLE)])
        .collect();
    let size: usize = samples.iter().map(|sample| sample.len()).sum();
    // A short piece is sooner compressed than looked at.
    Ok(size < piece.len() / 2 && member(&samples, 1)?.len() >= size - size / 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn many_members_read_back_as_one_stream() {
        let bytes: Vec<u8> = (0..5_000_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for packing in [Packing::Gzip(6), Packing::Zstd(3)] {
            let mut writer = PackedWriter::new(Vec::new(), packing);
            writer.write_all(&bytes).unwrap();
            let packed = writer.finish().unwrap();
            let mut back = Vec::new();
            crate::Decoder::new(io::Cursor::new(packed)).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == bytes);
        }
    }

    #[test]
    fn what_cannot_shrink_is_stored_and_what_partly_can_is_compressed() {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let dense_piece: Vec<u8> = (0..PIECE).map(|_| noise()).collect();
        assert!(dense(&dense_piece).unwrap());
        let mut mixed = dense_piece.clone();
        mixed[PIECE / 2..PIECE / 4 * 3].fill(b'x');
        assert!(!dense(&mixed).unwrap());
        assert!(!dense(b"").unwrap() && !dense(&dense_piece[..9]).unwrap());
        for bytes in [dense_piece, mixed] {
            let mut writer = PackedWriter::new(Vec::new(), Packing::Gzip(6));
            writer.write_all(&bytes).unwrap();
            let packed = writer.finish().unwrap();
            assert!(packed.len() < bytes.len() + 1000);
            let mut back = Vec::new();
            crate::Decoder::new(io::Cursor::new(packed)).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == bytes);
        }
    }

    #[test]
    fn nothing_is_one_empty_member() {
        let packed = PackedWriter::new(Vec::new(), Packing::Gzip(6)).finish().unwrap();
        let mut back = Vec::new();
        crate::Decoder::new(io::Cursor::new(packed)).unwrap().read_to_end(&mut back).unwrap();
        assert_eq!(back, b"");
    }
}
