//! Random bytes whose absence is an I/O failure like any other.

use std::io;

/// Fills a buffer.
pub fn fill(buffer: &mut [u8]) -> io::Result<()> {
    getrandom::fill(buffer).map_err(|err| io::Error::other(err.to_string()))
}
