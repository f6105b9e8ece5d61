//! The compressions image archives come in: told by their first bytes.

use std::io::{self, BufRead, BufReader, Read};

use crate::{Error, Result};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all, or not in a way that is known.
    None,
    /// gzip, RFC 1952; any number of members.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

/// What undoing xz may take, in KiB: a stream names its dictionary's size itself, up to 4 GiB. A dictionary of 128 MiB, twice that of
/// `xz -9` and zstd's own line, and what is around it.
const XZ_MEMORY_KIB: u32 = (128 << 10) + 1024;
/// Enough bytes to tell every compression apart.
const MAGIC: usize = 6;

impl Compression {
    /// Tells by the first bytes. Known compressions that are not read are an error that says so.
    pub fn of(start: &[u8]) -> Result<Compression> {
        for (magic, found) in [
            (&b"\x1f\x8b"[..], Compression::Gzip),
            (b"\x28\xb5\x2f\xfd", Compression::Zstd),
            (b"BZh", Compression::Bzip2),
            (b"\xfd7zXZ\0", Compression::Xz),
        ] {
            if start.starts_with(magic) {
                return Ok(found);
            }
        }
        // A skippable frame may come first in zstd.
        if start.len() >= 4 && start[0] & 0xf0 == 0x50 && start[1..4] == [0x2a, 0x4d, 0x18] {
            return Ok(Compression::Zstd);
        }
        for (magic, name) in [
            (&b"\x04\x22\x4d\x18"[..], "lz4"),
            (b"LZIP", "lzip"),
            (b"\x1f\x9d", "compress (.Z)"),
            (b"7z\xbc\xaf", "7z"),
            (b"PK\x03\x04", "zip"),
        ] {
            if start.starts_with(magic) {
                return Err(Error::Compression(name));
            }
        }
        Ok(Compression::None)
    }
}

/// A stream as it was before it was compressed.
pub struct Decoder {
    compression: Compression,
    inner: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Tells the compression by the stream's first bytes and undoes it.
    pub fn new(input: impl Read + Send + 'static) -> Result<Decoder> {
        let mut input = BufReader::with_capacity(128 << 10, input);
        let start = first_bytes(&mut input)?;
        let compression = Compression::of(&start)?;
        let whole = io::Cursor::new(start).chain(input);
        let inner: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
            Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(whole, true, XZ_MEMORY_KIB)),
        };
        Ok(Decoder { compression, inner })
    }

    /// What it undoes.
    pub fn compression(&self) -> Compression {
        self.compression
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

/// The first bytes, taken out: a pipe may give them one by one.
fn first_bytes(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(MAGIC);
    input.take(MAGIC as u64).read_to_end(&mut start)?;
    Ok(start)
}
