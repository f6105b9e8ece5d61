//! Standard output and error in one stream: frames with an 8-byte header, or raw bytes for a terminal.

use bytes::{BufMut, Bytes, BytesMut};
use gantry_api::stream::{StreamKind, frame_header};

/// The longest frame; longer chunks are cut so that a client's buffer stays bounded.
const FRAME_MAX: usize = 1 << 20;

/// How output goes to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Bytes as they are: a terminal's one stream.
    Raw,
    /// Header and bytes.
    Frames,
}

impl Framing {
    /// A container's output: raw with a terminal, framed without.
    pub(crate) fn of(tty: bool) -> Framing {
        if tty { Framing::Raw } else { Framing::Frames }
    }

    /// A chunk as it goes on the wire.
    pub(crate) fn put(self, kind: StreamKind, chunk: Bytes) -> Bytes {
        if self == Framing::Raw || chunk.is_empty() {
            return chunk;
        }
        let mut out = BytesMut::with_capacity(chunk.len() + 8 * (1 + chunk.len() / FRAME_MAX));
        for piece in chunk.chunks(FRAME_MAX) {
            let len = u32::try_from(piece.len()).expect("a frame is at most a MiB");
            out.put_slice(&frame_header(kind, len));
            out.put_slice(piece);
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_kind_and_length() {
        let framed = Framing::Frames.put(StreamKind::Stderr, Bytes::from_static(b"ab"));
        assert_eq!(&framed[..], &[2, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(Framing::Raw.put(StreamKind::Stdout, Bytes::from_static(b"ab")), "ab");
    }

    #[test]
    fn long_chunks_are_cut() {
        let framed = Framing::Frames.put(StreamKind::Stdout, Bytes::from(vec![7; FRAME_MAX + 1]));
        assert_eq!(framed.len(), FRAME_MAX + 1 + 16);
        assert_eq!(framed[8 + FRAME_MAX..][..8], [1, 0, 0, 0, 0, 0, 0, 1]);
    }
}
