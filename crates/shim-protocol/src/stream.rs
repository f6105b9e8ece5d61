//! An attached connection, after the `Ok`.
//!
//! From the shim: `[stream: 1 byte][length: 4 bytes, big endian][bytes]`, where stream is 1 for standard output and
//! 2 for standard error; the end of the connection is the end of both. To the shim: raw bytes of standard input;
//! a half-close is its end.

/// Standard output.
pub const STDOUT: u8 = 1;
/// Standard error.
pub const STDERR: u8 = 2;
/// Bytes before each piece of output.
pub const HEADER: usize = 5;
/// No piece is longer than this.
pub const MAX_PIECE: usize = 256 << 10;

/// The header of a piece of output. `len` is at most [`MAX_PIECE`].
pub fn header(stream: u8, len: usize) -> [u8; HEADER] {
    let len = (len as u32).to_be_bytes();
    [stream, len[0], len[1], len[2], len[3]]
}

/// Reads a header: the stream and the length that follows. `None` for what no shim sends.
pub fn parse(header: [u8; HEADER]) -> Option<(u8, usize)> {
    let [stream, len @ ..] = header;
    let len = u32::from_be_bytes(len) as usize;
    (matches!(stream, STDOUT | STDERR) && len <= MAX_PIECE).then_some((stream, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_and_nonsense_does_not() {
        assert_eq!(parse(header(STDERR, MAX_PIECE)), Some((STDERR, MAX_PIECE)));
        assert_eq!(parse(header(3, 1)), None);
        assert_eq!(parse([1, 255, 255, 255, 255]), None);
    }
}
